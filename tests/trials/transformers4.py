"""Do the tokenizers that this project writes open under transformers 4, with the same ids? A new environment is made for it.

python -m tests.trials.transformers4 FOLDER [FOLDER …]     FOLDER: a tokenizer, such as RUN/vocab/tokenizer
"""

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from transformers import AutoTokenizer

TEXTS = ["The café 東京, well—done!", "Der Fluß  fließt…", "مَرْحَبًا", "한국어 각 e\u0301", "x\u200cy ﬁ Ⅷ", "[MASK]", "", "ÀÉÎ"]
THERE = """
import json, sys
from transformers import AutoTokenizer, __version__
texts = json.loads(sys.argv[1])
print(json.dumps([__version__, [AutoTokenizer.from_pretrained(folder)(texts)["input_ids"] for folder in sys.argv[2:]]]))
"""


def main() -> None:
    folders = sys.argv[1:]
    with tempfile.TemporaryDirectory() as place:
        venv.create(place, with_pip=True)
        python = str(Path(place, "bin/python"))
        subprocess.run([python, "-m", "pip", "install", "-q", "transformers<5"], check=True)
        done = subprocess.run([python, "-c", THERE, json.dumps(TEXTS), *folders], check=True, capture_output=True, text=True)
    version, found = json.loads(done.stdout.splitlines()[-1])
    for folder, ids in zip(folders, found, strict=True):
        same = ids == AutoTokenizer.from_pretrained(folder)(TEXTS)["input_ids"]
        print(f"{folder}: transformers {version}: {'the same ids' if same else 'OTHER IDS'}")
    sys.exit(
        any(ids != AutoTokenizer.from_pretrained(folder)(TEXTS)["input_ids"] for folder, ids in zip(folders, found, strict=True))
    )


if __name__ == "__main__":
    main()
