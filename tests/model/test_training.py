"""Training from end to end on small made data: it learns, carries on, exports, and refuses what cannot be learned."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from ai_edge_litert.interpreter import Interpreter
from handstream.model import bundle, evaluator
from handstream.model.corpus import open_corpus, with_slots
from handstream.model.examples import Example, stacked
from handstream.model.measures import figures
from handstream.model.recipe import Recipe
from handstream.model.takes import LabelledTake, Panel, examples_of_takes
from handstream.model.train import class_weights, fit
from handstream.model.trainer import held_out
from handstream.pipelines.cli import main
from handstream.records.errors import DatasetError, InputError

QUICK = ("--steps", "16", "--epochs", "6", "--quiet")


def examples(corpus, split):
    return examples_of_takes(corpus.takes(split))


def quick(corpus, training, validation, **changes):
    recipe = Recipe(**{"epochs": 6, "batch": 16, **changes})
    return fit(training, validation, len(corpus.labels), corpus.steps, recipe, None, lambda text: None)


@pytest.fixture(scope="module")
def corpus(data_set):
    return open_corpus([str(data_set)], "auto", 16)


@pytest.fixture(scope="module")
def model(data_set, tmp_path_factory):
    """MODEL, as the command leaves it."""
    folder = tmp_path_factory.mktemp("trained") / "MODEL"
    assert main(["train", str(data_set), str(folder), *QUICK]) == 0
    return folder


def test_movement_is_learned_and_more_than_a_still_picture_tells(model):
    figures = json.loads((model / "evaluation" / "figures.json").read_text())
    assert figures["takes"]["accuracy"] >= 0.9
    assert figures["baselines"]["static"] <= 0.6, "the hand's shape is the same for all"
    assert figures["baselines"]["dtw"] >= 0.8
    assert sum(map(sum, figures["takes"]["confusion"])) == figures["takes"]["count"] == 16


def test_shuffled_labels_bring_it_to_chance(corpus):
    training = examples(corpus, "train")
    labels = np.random.default_rng(1).permutation([e.label for e in training])
    shuffled = [replace(e, label=int(label)) for e, label in zip(training, labels, strict=True)]
    learned = quick(corpus, shuffled, corpus.takes("validation"))
    panel = Panel(corpus.takes("test"), 16, 4)
    assert figures(panel.by_take(panel.probabilities(learned)), corpus.labels)["accuracy"] <= 0.6


def test_a_model_is_whole_and_keras_and_litert_say_the_same(model, corpus):
    for name in ("model.keras", "model.tflite", "labels.txt", "model.json", "card.md", "history.csv", "tensorboard"):
        assert (model / name).exists()
    assert not (model / "training").exists()
    assert (model / "labels.txt").read_text().splitlines() == list(corpus.labels)
    loaded = bundle.load(str(model)).keras_model()
    x = stacked(examples(corpus, "test"), 16)
    by_keras = loaded.predict(x, verbose=0)
    run = Interpreter(str(model / "model.tflite")).get_signature_runner()
    for i in range(len(by_keras)):
        (said,) = run(**{name: values[i : i + 1] for name, values in x.items()}).values()
        assert np.abs(said[0] - by_keras[i]).max() < 1e-4
    page = (model / "evaluation" / "report.html").read_text()
    assert "data:image/png;base64" in page
    assert "http" not in page.replace("http-equiv", "")


def test_seeds_give_the_same_model(corpus):
    training, validation = examples(corpus, "train"), corpus.takes("validation")
    first, second = (quick(corpus, training, validation, epochs=2) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first.get_weights(), second.get_weights(), strict=True))


def test_evaluate_says_the_same_again_and_by_json(model, data_set, capsys):
    assert main(["evaluate", str(model), str(data_set), "--json", "--no-baselines"]) == 0
    said = json.loads(capsys.readouterr().out)
    trained = json.loads((model / "model.json").read_text())["figures"]["test"]
    assert said["takes"]["accuracy"] == pytest.approx(trained["accuracy"])
    assert said["subjects"] == {"p4": {"accuracy": said["takes"]["accuracy"], "count": 16}}


def test_a_killed_training_carries_on_and_forgets_nothing(corpus, tmp_path):
    training, validation = examples(corpus, "train"), corpus.takes("validation")
    said: list[str] = []

    class Killed(Exception):
        pass

    def kill(text: str) -> None:
        if text.startswith("epoch 3"):
            raise Killed

    recipe = Recipe(epochs=4, batch=16, learning_rate=1e-9)
    with pytest.raises(Killed):
        fit(training, validation, 4, 16, recipe, tmp_path, kill)
    state = json.loads((tmp_path / "state.json").read_text())
    assert state["epochs"] == 3
    # What was best before counts still: nothing is learned at this rate, so that nothing later is better.
    (tmp_path / "state.json").write_text(json.dumps({**state, "best": 2.0}))
    best = [weight + 1 for weight in np.load(tmp_path / "best.npz").values()]
    np.savez(tmp_path / "best.npz", *best)
    model = fit(training, validation, 4, 16, recipe, tmp_path, said.append)
    assert said[0].startswith("epoch 3")
    assert len(said) == 2
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), best, strict=True))


def test_several_data_sets_make_one_model(make_data_set, tmp_path):
    first = make_data_set(tmp_path / "a", takes=1, labels=("left", "right"))
    second = make_data_set(tmp_path / "b", takes=1, seed=1, labels=("round", "left"))
    both = open_corpus([str(first), str(second)], "auto", 16)
    assert sorted(both.windows_by_label("train").items()) == [("left", 6), ("right", 3), ("round", 3)]
    assert len(examples(both, "train")) == 12
    # Takes of equal names in two data sets are two.
    assert len(both.takes("test")) == 4


def test_names_with_any_sign_stay_apart(make_data_set, tmp_path):
    folder = make_data_set(tmp_path / "out", takes=2, name="ann@lab/{}")
    found = open_corpus([str(folder)], "auto", 16).takes("train")
    assert len({take.key for take in found}) == len(found) == 24
    assert len({take.group for take in found}) == 3


def test_a_take_without_a_hand_counts_as_wrong(corpus):
    takes = [*corpus.takes("test"), LabelledTake(("0", "p4", "left", "blind"), 0, ((),))]
    panel = Panel(takes, 16, 4)
    chances = np.eye(4)[[example.label for example in panel.examples]]
    for answers, count in ((panel.by_take(chances), 17), (panel.by_window(chances), 17)):
        found = figures(answers, corpus.labels)
        assert (found["count"], found["without_hands"]) == (count, 1)
        assert found["accuracy"] == pytest.approx(16 / 17)
        assert found["confusion"][0][-1] == 1


def test_more_slots_than_a_model_has_keep_the_hands_that_were_seen():
    points = np.full((5, 2, 21, 3), np.nan, np.float32)
    points[:, 1] = 0.5
    one = Example(points, np.arange(5, dtype=np.float32), np.array([0, 1]), 0.75)
    assert with_slots(one, 1).present.all()
    assert with_slots(one, 1).side.tolist() == [1]
    assert with_slots(one, 3).points.shape == (5, 3, 21, 3)


def test_what_tells_when_to_stop_is_of_other_people_and_takes_no_label_away(corpus):
    takes = [take for split in ("train", "validation", "test") for take in corpus.takes(split)]
    kept, held = held_out(takes, 0)
    assert {take.subject for take in kept}.isdisjoint({take.subject for take in held})
    assert len({take.subject for take in held}) == 1
    alone = takes[:1]
    assert held_out(alone, 0) == (alone, alone)


def test_rare_labels_count_more(corpus):
    training = examples(corpus, "train")
    rare = [e for e in training if e.label != 0] + [e for e in training if e.label == 0][:3]
    weights = class_weights(rare, 4)
    assert weights[0] == pytest.approx(4 * weights[1])


def edited(folder, change):
    description = json.loads((folder / "dataset.json").read_text())
    change(description)
    (folder / "dataset.json").write_text(json.dumps(description))
    return str(folder)


def test_what_cannot_be_learned_from_is_said(make_data_set, tmp_path, capsys):
    def refused(out, *flags):
        assert main(["train", out, str(tmp_path / "MODEL"), *QUICK, *flags]) == 2
        return capsys.readouterr().err

    one = make_data_set(tmp_path / "one", takes=1, labels=("left",))
    assert "two labels at least" in refused(str(one))
    nobody = make_data_set(tmp_path / "nobody", takes=1, subjects=3)
    assert "the validation split holds no labelled window" in refused(str(nobody))
    torn = make_data_set(tmp_path / "torn", takes=1)
    edited(torn, lambda d: d["splits"]["test"]["subjects"].append("p0"))
    assert "'p0' in test and train" in refused(str(torn))
    old = make_data_set(tmp_path / "old", takes=1)
    assert "schema 99" in refused(edited(old, lambda d: d.update(schema=99)))
    assert "not there" in refused(str(tmp_path / "nothing"))
    cut = make_data_set(tmp_path / "cut", takes=1)
    shard = cut / "train-00000-of-00001.tfrecord"
    shard.write_bytes(shard.read_bytes()[:-5])
    assert "dataset.json says" in refused(str(cut))
    whole = make_data_set(tmp_path / "whole", takes=1)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").write_text("x")
    assert main(["train", str(whole), str(tmp_path / "mine"), *QUICK]) == 2
    assert "holds something else" in capsys.readouterr().err
    assert "not all data sets hold triangulated landmarks" in refused(str(whole), "--input", "3d")
    (tmp_path / "mine" / "training").mkdir()
    assert main(["train", str(whole), str(tmp_path / "mine"), *QUICK]) == 2
    assert (tmp_path / "mine" / "training").exists()
    capsys.readouterr()
    assert not (tmp_path / "MODEL" / "model.json").exists()


def test_damage_within_a_shard_is_said(make_data_set, tmp_path):
    folder = make_data_set(tmp_path / "out", takes=1)
    shard = folder / "train-00000-of-00001.tfrecord"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 255
    shard.write_bytes(data)
    with pytest.raises(DatasetError, match="checksum"):
        open_corpus([str(folder)], "auto", 16).takes("train")


def test_a_model_of_another_version_is_refused(model, tmp_path, data_set):
    with pytest.raises(InputError, match="handstream train"):
        bundle.load(str(tmp_path))
    other = tmp_path / "other"
    other.mkdir()
    description = json.loads((model / "model.json").read_text())
    (other / "model.json").write_text(json.dumps({**description, "format": 99}))
    with pytest.raises(InputError, match="format 99"):
        bundle.load(str(other))


def test_cross_validation_shows_mean_and_spread(make_data_set, tmp_path, capsys):
    folder = make_data_set(tmp_path / "out", takes=2, subjects=3)
    assert main(["train", str(folder), "--cross-validate", "3", *QUICK, "--epochs", "2"]) == 0
    assert "takes, 3 folds:" in capsys.readouterr().out
    assert main(["train", str(folder), "--cross-validate", "9", *QUICK]) == 2
    assert "there are 3 subjects or takes" in capsys.readouterr().err


def test_who_was_learned_from_is_not_tested_on(model, make_data_set, tmp_path, capsys):
    other = make_data_set(tmp_path / "other", takes=1)
    edited(other, lambda d: d["splits"]["test"].update(subjects=["p0"]))
    edited(other, lambda d: d["splits"]["train"].update(subjects=["p9"]))
    assert main(["evaluate", str(model), str(other), "--no-baselines"]) == 2
    assert "has learned from 'p0'" in capsys.readouterr().err


def test_an_unknown_column_is_named(model, data_set, capsys, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"subject": ["p4"], "label": ["left"], "take": ["0"], "view": [""], "camera": ["phone"]}
    pq.write_table(pa.table(columns), data_set / "clips.parquet")
    assert main(["evaluate", str(model), str(data_set), "--by", "camra", "--no-baselines"]) == 2
    assert "Did you mean camera?" in capsys.readouterr().err
    assert main(["evaluate", str(model), str(data_set), "--by", "camera", "--no-baselines"]) == 0
    assert "by camera: " in capsys.readouterr().out
    assert evaluator.column_values(open_corpus([str(data_set)], "image", 16), "camera") == {
        ("0", "p4", "left", "0"): "phone"
    }


def test_the_trainer_imports_neither_beam_nor_mediapipe():
    program = (
        "import sys; import handstream.model.trainer, handstream.model.evaluator;"
        "print([name for name in ('apache_beam', 'mediapipe') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
