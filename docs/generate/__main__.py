"""`make reference`: writes every page anew."""

from pathlib import Path

from docs.generate.pages import pages

for name, text in pages().items():
    path = Path("docs") / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
