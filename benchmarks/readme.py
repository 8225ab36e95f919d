"""Run every speed benchmark and put what they print into the README.

python benchmarks/readme.py
"""

import subprocess
import sys
from pathlib import Path

BEGIN, END = "<!-- speed:begin -->", "<!-- speed:end -->"
SCRIPTS = ("commands.py", "features.py", "input_pipeline.py", "fine_tuning.py", "stats_speed.py")


def main() -> None:
    here = Path(__file__).parent
    readme = here.parent / "README.md"
    blocks = []
    for script in SCRIPTS:
        print(f"running {script} ...", file=sys.stderr, flush=True)
        done = subprocess.run([sys.executable, here / script], stdout=subprocess.PIPE, text=True, check=True)
        blocks.append(f"$ python benchmarks/{script}\n{done.stdout.rstrip()}")
    text = readme.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    block = "```\n" + "\n\n".join(blocks) + "\n```\n"
    readme.write_text(f"{before}{BEGIN}\n{block}{END}{after}", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
