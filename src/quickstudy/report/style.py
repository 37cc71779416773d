"""The frame of the report: HTML and CSS, readable on a phone, in light and dark."""

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title><style>
:root { --ink: #1c2330; --soft: #5b6577; --paper: #fbfaf7; --card: #fff; --line: #dfe3ea; --chosen: #2461c4; --baseline: #a9b2c1;
  --good: #197a45; --bad: #b3261e; color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ebf1; --soft: #a3adbd; --paper: #14171d; --card: #1c2129; --line: #343b47;
  --chosen: #6ea0f5; --baseline: #69748a; --good: #57c98a; --bad: #f2877f; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 780px; margin: 0 auto; padding: 28px 18px 60px; }
h1 { font-size: 1.5rem; margin: 0 0 6px; } h2 { font-size: 1.1rem; margin: 34px 0 8px; }
p { margin: 8px 0; } small, .soft { color: var(--soft); }
.lead { font-size: 1.13rem; } .badge { border-radius: 20px; padding: 3px 12px; color: #fff; font-size: .85rem; font-weight: 600; }
.good { background: #197a45; } .bad { background: #b3261e; } .even { background: #5b6577; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 4px 18px 16px; margin-top: 16px; }
section h2 { margin-top: 14px; }
svg { width: 100%; height: auto; display: block; } svg text { fill: var(--ink); font: 14px system-ui, sans-serif; }
svg .chosen { fill: var(--chosen); } svg .baseline { fill: var(--baseline); }
svg .line { fill: none; stroke-width: 2.5; } svg .line.chosen { stroke: var(--chosen); } svg .line.baseline { stroke: var(--baseline); }
svg .whisker { stroke: var(--ink); stroke-width: 1.3; fill: none; } svg .grid { stroke: var(--line); }
svg .mark { stroke: var(--bad); stroke-dasharray: 4 4; }
figure.task { margin: 14px 0; display: grid; grid-template-columns: minmax(150px, 1fr) 2fr; gap: 14px; }
.class { display: flex; align-items: center; gap: 8px; margin-bottom: 6px; } .class small { overflow-wrap: anywhere; line-height: 1.2; }
.tag { font-weight: 700; width: 1.2em; } .task img { image-rendering: pixelated; border-radius: 6px; border: 1px solid var(--line); background: #fff; }
.queries { display: grid; grid-template-columns: repeat(auto-fill, minmax(64px, 1fr)); gap: 8px; align-content: start; }
.query { text-align: center; font-size: .85rem; } .query img { border-width: 3px; }
.query.right img { border-color: var(--good); } .query.wrong img { border-color: var(--bad); } .query.wrong { color: var(--bad); font-weight: 600; }
table { border-collapse: collapse; width: 100%; font-size: .93rem; } th, td { text-align: left; padding: 4px 10px 4px 0; vertical-align: top;
  border-bottom: 1px solid var(--line); overflow-wrap: anywhere; } tr.wrong td { color: var(--bad); font-weight: 600; } tr.right td:first-child { color: var(--good); }
pre { background: var(--paper); border: 1px solid var(--line); border-radius: 8px; padding: 10px 12px; overflow-x: auto; font-size: .88rem; }
details summary { cursor: pointer; color: var(--soft); }
@media (max-width: 560px) { figure.task { grid-template-columns: 1fr; } .class { display: inline-flex; margin-right: 8px; } .class small { display: none; } }
</style></head><body><main>
<h1>$title</h1><p>$verdict</p>
<p class="lead">$sentence</p>
<section><h2>Tasks nobody had seen</h2><p class="soft">On the left what it was taught: one row a class. On the right what it was asked,
with its answer: green is right, red is wrong (the right class in brackets).</p>$figures</section>
<section><h2>Judged once, on tasks kept aside</h2>$judged<p class="soft">The dashed line is chance. $protocol</p></section>
<section><h2>How many examples does it need?</h2>$shots</section>
<section><h2>Everyone who took part</h2><p class="soft">On validation tasks, by which learner and baseline were chosen. Blue was meta-trained,
grey is a simple baseline.</p>$leaderboard$training</section>
<section><h2>Can it be trusted?</h2>$audit$calibration</section>
<section><h2>What it learned from</h2>$data</section>
<section><h2>Go on</h2>$commands</section>
<section><h2>Where the time went</h2>$time</section>
</main></body></html>
"""
