"""What `evaluate TASK` refuses: one line, exit code 2, and nothing trained."""

import gzip
import re
import shutil
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, BertConfig, FNetConfig, GPT2Config, RobertaConfig

from tests.support.factories import save_teacher
from tests.support.judged import evaluate, make_run, treebanks, write_entities, write_pairs, write_questions, write_treebanks


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run to judge, and bad/ with files and models that have one thing wrong."""
    folder = tmp_path_factory.mktemp("judged")
    make_run(folder)
    write_treebanks(folder)
    write_pairs(folder / "test.pairs.tsv", "de", 4)
    write_entities(folder / "good.tsv", "de", 4)
    bad = folder / "bad"
    bad.mkdir()
    good = (folder / "ud/de-test.conllu").read_text()
    texts = {
        "columns.conllu": good.replace("\t_\t_\t_\t_", "", 1),
        "gap.conllu": good.replace("\n2\t", "\n7\t", 1),
        "empty.conllu": "",
        "bare.conllu": re.sub("\t(NOUN|VERB|DET|ADP|PUNCT)\t", "\t_\t", good),
        "bare.tsv": "de:Wort\n\nde:Ort\n\n",
        "tags.tsv": "de:Wort\tORT\n\n",
        "languages.tsv": "de:a\tO\nde:b\tO\nc\tO\n\n",
        "labels.tsv": "a b\tc d\t7\n",
        "one.tsv": "a b c d\n",
        "cut.json": write_questions(folder / "q.json", "de", 3).read_text()[:-9],
        "place.json": (folder / "q.json").read_text().replace('"answer_start": 0', '"answer_start": 3', 1),
        "twice.json": (folder / "q.json").read_text().replace('"id": "q1"', '"id": "q0"'),
        "list.json": "[1, 2]",
    }
    for name, text in texts.items():
        (bad / name).write_text(text, encoding="utf-8")
    write_questions(folder / "q2.json", "de", 4)
    write_questions(bad / "stripped.json", "de", 3, answers=False)
    (bad / "latin.conllu").write_bytes(good.encode("latin-1"))
    (bad / "copy.conllu.gz").write_bytes(gzip.compress((folder / "ud/de-train.conllu").read_bytes()))
    write_questions(folder / "q3.json", "de", 5)
    (bad / "broken.json.gz").write_bytes(
        gzip.compress((folder / "q3.json").read_bytes())[:40] + b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    )
    for name, config in (
        ("gpt", GPT2Config(n_layer=1, n_head=2, n_embd=16, vocab_size=120)),
        (
            "fnet",
            FNetConfig(
                vocab_size=120, hidden_size=32, num_hidden_layers=2, intermediate_size=32, use_tpu_fourier_optimizations=False
            ),
        ),
        (
            "roberta",
            RobertaConfig(vocab_size=120, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=34),
        ),
        ("tokens", BertConfig(vocab_size=30, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)),
    ):
        shutil.copytree(folder / "teachers/de", bad / name, dirs_exist_ok=True)
        (AutoModelForCausalLM if name == "gpt" else AutoModelForMaskedLM).from_config(config).save_pretrained(bad / name)
    shutil.copytree(folder / "teachers/de", bad / "config", dirs_exist_ok=True)
    (bad / "config/config.json").write_text("{")
    save_teacher(folder / "bad/unknown", ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a"])
    (folder / "bad/unknown/model.safetensors").write_bytes(b"nothing")
    return folder


UDPOS = ["udpos", "--model", "run/student", "--train", "de=ud/de-train.conllu", "--dev", "de=ud/de-dev.conllu"]
QA = ["qa", "--model", "run/student", "--train", "de=q.json", "--max-length", "48", "--question-length", "8"]
NER = ["ner", "--model", "run/student", "--train", "de=good.tsv", "--keep", "last"]
PAIRS = ["pawsx", "--model", "run/student", "--keep", "last", "--train", "de=test.pairs.tsv"]
BAD = {
    "a line with too few columns": (
        [*UDPOS, "--test", "de=bad/columns.conllu"],
        r"columns.conllu, line 1: found 6 columns",
    ),
    "ids with a gap": ([*UDPOS, "--test", "de=bad/gap.conllu"], r"gap.conllu, line 2: found the id 7; expected 2"),
    "an empty file": ([*UDPOS, "--test", "de=bad/empty.conllu"], "empty.conllu: found no sentence"),
    "no UTF-8": ([*UDPOS, "--test", "de=bad/latin.conllu"], "latin.conllu: .*is no UTF-8"),
    "no such file": ([*UDPOS, "--test", "de=bad/absent*"], "--test de: no file matches 'bad/absent"),
    "tags that were removed": ([*UDPOS, "--test", "de=bad/bare.conllu"], "bare.conllu: found 11 sentences and not a tag"),
    "no entity": ([*NER, "--test", "de=bad/bare.tsv"], "bare.tsv: found 2 sentences and not an entity"),
    "an unknown tag": ([*NER, "--test", "de=bad/tags.tsv"], "tags.tsv, line 1: found the tag 'ORT'; expected O, B-TYPE or I-TYPE"),
    "a language missing": ([*NER, "--test", "de=bad/languages.tsv"], "found no 'de:' before the word|found the tag 'ORT'"),
    "an unknown label": ([*PAIRS, "--test", "de=bad/labels.tsv"], "labels.tsv, line 1: found the label '7'; expected one of 0, 1"),
    "one column": (
        [*PAIRS, "--test", "de=bad/one.tsv"],
        "one.tsv, line 1: found 1 columns; expected two texts",
    ),
    "JSON that is cut": ([*QA, "--test", "de=bad/cut.json"], "cut.json: cannot be read .*expected SQuAD's JSON"),
    "JSON of another kind": ([*QA, "--test", "de=bad/list.json"], "list.json: the file has no list 'data'"),
    "an answer that is not there": (
        [*QA, "--test", "de=bad/place.json"],
        r"place.json, data\[0\].paragraphs\[0\].qas\[0\]: the answer",
    ),
    "answers that were removed": ([*QA, "--test", "de=bad/stripped.json"], "found 3 questions and all answers empty"),
    "an id twice": ([*QA, "--test", "de=bad/twice.json"], "twice.json: the question id 'q0' is there twice"),
    "no room": ([*QA, "--test", "de=q2.json", "--max-length", "384"], "has 64 positions, and --max-length is 384"),
    "no room for a context": (
        [*QA, "--test", "de=q2.json", "--max-length", "10"],
        "max_length 10 leaves 0 pieces for a context",
    ),
    "a language without a teacher": (
        [*UDPOS[:3], "--tokens", "routed", "--train", "fi=ud/de-train.conllu", "--keep", "last", "--test", "fi=ud/de-test.conllu"],
        "no teacher of the recipe reads 'fi' .*--route LANG=TEACHER",
    ),
    "routed without a student": (
        ["udpos", "--model", "teachers/de", *treebanks("de"), "--tokens", "routed"],
        "--tokens routed: found no student of a run among teachers/de",
    ),
    "no development set": ([*UDPOS[:5], "--test", "de=ud/de-test.conllu"], "found no --dev de=…; expected files .* or --keep last"),
    "no training set": ([*UDPOS, "--test", "en=ud/en-test.conllu"], "in-language: found no --train en=…"),
    "two languages to train on": (
        ["udpos", "--model", "run/student", *treebanks("de", "en"), "--protocol", "zero-shot"],
        "zero-shot: found training files in 2 languages",
    ),
    "train and test the same": (
        [*UDPOS, "--test", "de=ud/de-train.conllu"],
        "ud/de-train.conllu: has the same content as --train de=ud/de-train.conllu",
    ),
    "a teacher without a test set": (
        [*UDPOS, "--test", "de=ud/de-test.conllu", "--teacher", "en=teachers/en"],
        "--teacher en=teachers/en: found no --test en=",
    ),
    "a model that is nowhere": (["udpos", "--model", "./absent", *treebanks("de")], "model './absent' is not a folder"),
    "weights that are none": (["udpos", "--model", "bad/unknown", *treebanks("de")], "bad/unknown: cannot be opened as"),
    "labels of no test": (
        [*PAIRS, "--test", "de=bad/labels.tsv", "--label-file", "en=labels.txt"],
        "--label-file en=…: found no --test en=…",
    ),
    "a copy of the training file": (
        [*UDPOS, "--test", "de=bad/copy.conllu.gz"],
        "copy.conllu.gz: has the same content as --train de=ud/de-train.conllu",
    ),
    "dev and test the same": ([*UDPOS, "--test", "de=ud/de-dev.conllu"], "has the same content as --dev de=ud/de-dev.conllu"),
    "a file twice": (
        [*UDPOS, "--test", "de=ud/de-test.conllu", "--test", "de=ud/de-t*.conllu"],
        "--test de: found a file that is named twice",
    ),
    "an id in two files": (
        [*QA, "--test", "de=q2.json", "--test", "de=q3.json"],
        "q3.json: the question id 'q0' is in q2.json too",
    ),
    "packed badly": ([*QA, "--test", "de=bad/broken.json.gz"], "broken.json.gz: cannot be read"),
    "a dev set that is not used": (
        [*QA, "--test", "de=q2.json", "--dev", "de=q3.json"],
        "--dev and --eval-steps: are not used with",
    ),
    "a route that is not used": ([*UDPOS, "--test", "de=ud/de-test.conllu", "--route", "de=bert-de"], "--route: is only used with"),
    "a language of no test": (
        [*UDPOS, *treebanks("en", parts=["train", "dev"]), "--test", "de=ud/de-test.conllu"],
        "--train en=…: no model",
    ),
    "a language that is a path": ([*UDPOS, "--test", "../x=ud/de-test.conllu"], "expected LANG=FILES, with a language code as de"),
    "the same model twice": (
        [*UDPOS, "--model", "run/../run/student", "--test", "de=ud/de-test.conllu"],
        "run/student: is given twice",
    ),
    "no masked LM": (["udpos", "--model", "bad/gpt", *treebanks("de")], "bad/gpt: .*no masked LM|bad/gpt: cannot be opened"),
    "a config that is none": (["udpos", "--model", "bad/config", *treebanks("de")], "bad/config"),
    "a tokenizer of another model": (["udpos", "--model", "bad/tokens", *treebanks("de")], "has the id .* and the model .* rows"),
    "a model that looks at padding": (
        ["udpos", "--model", "bad/fnet", *treebanks("de")],
        "bad/fnet: .*expected a model whose result for",
    ),
    "room behind the padding's row": (
        ["udpos", "--model", "bad/roberta", *treebanks("de"), "--max-length", "34"],
        "bad/roberta: has 32 positions, and --max-length is 34",
    ),
    "no pair": (
        ["udpos", "--model", "run/student", "--train", "ud/de-train.conllu"],
        "found 'ud/de-train.conllu'; expected LANG=FILES",
    ),
    "not a number": (
        [*UDPOS, "--test", "de=ud/de-test.conllu", "--learning-rate", "nan"],
        "found nan|'nan' is not|not in the range",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    arguments, message = BAD[name]
    done = evaluate(*arguments, *(() if "--max-length" in arguments else ("--max-length", "32")), "--out", "refused")
    assert done.exit_code == 2, done.output
    assert re.search(message, done.output), done.output
    assert "Traceback" not in done.output
    assert not [*(folder / "refused").glob("**/*.json")]
