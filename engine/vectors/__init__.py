"""What policies that decide a vector share: projections, steps, hints, and the best in hindsight."""
