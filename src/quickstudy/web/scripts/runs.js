// Runs: a choice is drawn at once, and while something trains the page is asked for again, and its drawing exchanged.
const EVERY = 3000;
let asked = location.search;

async function renew() {
  const response = await fetch(`/runs${asked}`).catch(() => null);
  if (!response?.ok) return;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html").getElementById("runs");
  const here = document.getElementById("runs");
  if (!fresh || !here) return;
  const focused = document.activeElement?.closest("#runs input")?.value;
  const scrolled = here.querySelector(".scroll")?.scrollTop;
  here.replaceWith(document.adoptNode(fresh));
  fresh.querySelector(".scroll").scrollTop = scrolled;
  if (focused) [...fresh.querySelectorAll("input")].find(({ value }) => value === focused)?.focus();
}

document.addEventListener("change", (event) => {
  const form = event.target.closest("#runs");
  if (!form) return;
  asked = `?${new URLSearchParams(new FormData(form))}`;
  history.replaceState(null, "", `/runs${asked}`);
  renew();
});

setInterval(() => {
  if (!document.hidden && document.getElementById("runs")) renew();
}, EVERY);
