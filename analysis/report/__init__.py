"""One self-contained page about finished runs: python -m analysis.report outputs/... --out report.html."""
