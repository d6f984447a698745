import os

import pytest
from apache_beam.io.filesystem import BeamIOError
from handstream.records.errors import InputError
from handstream.transforms import storage
from hypothesis import given, settings
from hypothesis import strategies as st

quick = settings(deadline=None, max_examples=60)
file_names = st.text("ab[]*?!\\{}'\"\n 🖐-", min_size=1, max_size=8)


def folder_of(tmp_path_factory, names):
    """A new folder of empty files."""
    folder = tmp_path_factory.mktemp("files")
    for name in names:
        (folder / name).touch()
    return folder


@quick
@given(st.sets(file_names, min_size=1, max_size=4))
def test_a_literal_matches_its_own_file_alone(tmp_path_factory, names):
    folder = folder_of(tmp_path_factory, names)
    for name in names:
        found = storage.list_files(storage.literal(f"{folder}/{name}"))
        assert [meta.path for meta in found] == [f"{folder}/{name}"]


def test_files_are_listed_in_order_and_across_folders(tmp_path):
    for name in ("b", "a/c", "a/.d"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [meta.path[len(str(tmp_path)) :] for meta in storage.list_files(f"{tmp_path}/**")] == ["/a/.d", "/a/c", "/b"]
    assert storage.list_files(f"{tmp_path}/none*") == []


def test_local_paths_are_made_absolute_and_others_are_left():
    assert storage.absolute("a/../b") == os.path.join(os.getcwd(), "b")
    assert storage.is_local("/a")
    assert not storage.is_local("s3://bucket/a")
    assert storage.join("gs://bucket/out/", "a", "b") == "gs://bucket/out/a/b"


def test_a_written_file_is_whole_and_leaves_nothing_beside_it(tmp_path):
    out, path = str(tmp_path), f"{tmp_path}/deep/er/file"
    storage.write_bytes(out, path, b"old")
    storage.write_bytes(out, path, b"new")
    assert storage.read_bytes(path) == b"new"
    assert [meta.path for meta in storage.list_files(f"{out}/**")] == [path]


def test_a_file_is_not_there_before_it_is_whole(tmp_path):
    path = f"{tmp_path}/file"
    with storage.writing(str(tmp_path), path) as file:
        file.write(b"half")
        assert not storage.exists(path)
    assert storage.exists(path)


def test_an_error_while_writing_leaves_what_was_there(tmp_path):
    path = f"{tmp_path}/file"
    storage.write_bytes(str(tmp_path), path, b"old")

    def interrupted() -> None:
        with storage.writing(str(tmp_path), path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert storage.read_bytes(path) == b"old"
    assert [meta.path for meta in storage.list_files(f"{tmp_path}/**")] == [path]


def test_compressed_files_are_not_unpacked(tmp_path):
    (tmp_path / "a.gz").write_bytes(b"\x1f\x8bnot")
    assert storage.read_bytes(f"{tmp_path}/a.gz") == b"\x1f\x8bnot"


def test_a_missing_file_is_an_os_error_that_says_so(tmp_path):
    with pytest.raises(OSError, match="No such file or directory"):
        storage.open_file(f"{tmp_path}/none")


def test_removing_what_is_not_there_is_no_error(tmp_path):
    (tmp_path / "a").touch()
    storage.remove(f"{tmp_path}/a")
    storage.remove(f"{tmp_path}/a")
    assert not storage.exists(f"{tmp_path}/a")


@quick
@given(st.sets(file_names, min_size=1, max_size=4))
def test_removing_a_file_leaves_all_others(tmp_path_factory, names):
    folder = folder_of(tmp_path_factory, names)
    storage.remove(f"{folder}/{min(names)}")
    assert set(os.listdir(folder)) == names - {min(names)}


def test_a_file_in_a_folder_with_glob_characters_is_removed_there_alone(tmp_path):
    for folder in ("out*", "out1"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "dataset.json").touch()
    storage.remove(f"{tmp_path}/out*/dataset.json")
    assert os.listdir(tmp_path / "out*") == []
    assert os.listdir(tmp_path / "out1") == ["dataset.json"]


def test_removing_what_cannot_be_removed_is_an_error(tmp_path, monkeypatch):
    def refuse(paths):
        raise BeamIOError("denied")

    (tmp_path / "a").touch()
    monkeypatch.setattr(storage.FileSystems, "delete", refuse)
    with pytest.raises(BeamIOError):
        storage.remove(f"{tmp_path}/a")


def test_a_path_that_beam_has_no_file_system_for_is_refused():
    with pytest.raises(InputError, match="nowhere://a"):
        storage.absolute("nowhere://a")


def test_links_to_folders_are_followed_once(tmp_path):
    (tmp_path / "real" / "wave").mkdir(parents=True)
    (tmp_path / "real" / "wave" / "a.mp4").touch()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "wave").symlink_to(tmp_path / "real" / "wave")
    (tmp_path / "real" / "wave" / "back").symlink_to(tmp_path / "in")
    assert storage.list_folder(str(tmp_path / "in")) == [f"{tmp_path}/in/wave/a.mp4"]


def test_what_is_no_regular_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(OSError, match="no regular file"):
        storage.metadata(str(tmp_path / "pipe.mp4"))
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OSError, match="a link to a file that is not there"):
        storage.metadata(str(tmp_path / "gone.mp4"))
    with pytest.raises(OSError, match="no such file"):
        storage.metadata(str(tmp_path / "none.mp4"))


def test_a_store_that_cannot_be_asked_gives_its_reason(tmp_path, monkeypatch):
    def refuse(*_):
        raise ValueError("no credentials")

    monkeypatch.setattr(storage.FileSystems, "get_filesystem", refuse)
    monkeypatch.setattr(storage.FileSystems, "exists", refuse)
    with pytest.raises(OSError, match="no credentials"):
        storage.metadata(str(tmp_path / "a.mp4"))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(13, "Permission denied", "/x"), "Permission denied"),
        (BeamIOError("Match failed", {"/x": OSError(2, "No such file or directory")}), "No such file or directory"),
        (BeamIOError("Match failed", {"/x": "quota"}), "quota"),
        (ValueError("two\n  lines"), "two lines"),
        (ValueError(), "ValueError"),
    ],
)
def test_reasons_are_one_line_without_chatter(error, text):
    assert storage.reason(error) == text
