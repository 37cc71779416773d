"""What rows are looked over for before anybody learns from them, and how they are split."""
