import io
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from handstream.records.errors import InputError
from handstream.transforms.manifest import read_manifest
from handstream.transforms.match import check_clips


@pytest.fixture
def clips_of(tmp_path):
    """The clips of a manifest with these contents."""

    def read(contents: str | bytes, name: str = "clips.csv", **options):
        path = tmp_path / name
        path.write_bytes(contents.encode() if isinstance(contents, str) else contents)
        return read_manifest(str(path), **options)

    return read


@pytest.fixture
def refusal(clips_of):
    """What is said of a manifest that is refused."""

    def read(contents: str | bytes, name: str = "clips.csv") -> str:
        with pytest.raises(InputError) as error:
            check_clips(clips_of(contents, name))
        return str(error.value)

    return read


def parquet(**columns) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


def test_every_column_is_read(clips_of, tmp_path):
    (clip,) = clips_of(
        "path,label,subject,take,view,split,start,end,calibration,mirrored,camera make\n"
        "in/a.mp4,wave,s1,t1,cam0,val,1.5,2,rig.json,yes,Sony\n"
    )
    assert clip.path == f"{tmp_path}/in/a.mp4"
    assert (clip.name, clip.key, clip.view) == ("in/a.mp4", ("validation", "s1", "wave", "t1"), "cam0")
    assert (clip.start, clip.end, clip.mirrored) == (1.5, 2.0, True)
    assert clip.columns == {"calibration": "rig.json", "camera make": "Sony"}


def test_a_path_is_enough(clips_of):
    (clip,) = clips_of("path\nwave/a.mp4\n")
    assert (clip.key, clip.start, clip.end, clip.mirrored) == (("", "", "", "wave/a"), None, None, False)


def test_paths_are_relative_to_the_manifest_or_absolute(clips_of, tmp_path):
    clips = clips_of("path\na.mp4\n/b.mp4\n")
    assert [clip.path for clip in clips] == [f"{tmp_path}/a.mp4", "/b.mp4"]


def test_a_path_on_a_file_system_that_beam_has_not_names_the_line(clips_of):
    with pytest.raises(InputError, match=r"line 3: nowhere://c\.mp4"):
        clips_of("path\na.mp4\nnowhere://c.mp4\n")


def test_a_relative_manifest_is_found_from_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "clips.csv").write_text("path\na.mp4\n")
    monkeypatch.chdir(tmp_path)
    assert read_manifest("clips.csv")[0].path == f"{tmp_path}/a.mp4"


def test_mirrored_holds_where_the_manifest_does_not_say(clips_of):
    assert clips_of("path\na.mp4\n", mirrored=True)[0].mirrored
    assert [c.mirrored for c in clips_of("path,mirrored\na,true\nb,0\nc,\n", mirrored=True)] == [True, False, False]


def test_parts_of_a_file_are_takes_of_their_own(clips_of):
    clips = clips_of("path,start,end\na.mp4,1,2.5\na.mp4,2.5,\na.mp4,,1\n")
    assert [clip.take for clip in clips] == ["a#1-2.5", "a#2.5-", "a#-1"]
    check_clips(clips)


def test_short_parts_of_a_long_recording_are_takes_of_their_own(clips_of):
    check_clips(clips_of("path,start,end\na.mp4,12345.61,12345.63\na.mp4,12345.63,12345.64\n"))


@pytest.mark.parametrize(
    "name",
    ["sp ace.mp4", 'it\'s "q".mp4', "new\nline.mp4", "🖐.mp4", "x" * 200 + ".mp4", "a[1]*?.mp4", "a,b.mp4", " a.mp4 "],
)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_any_file_name_can_be_given(clips_of, tmp_path, name, kind):
    quoted = name.replace('"', '""')
    contents = f'label,path\nwave,"{quoted}"\n' if kind == "csv" else parquet(label=["wave"], path=[name])
    (clip,) = clips_of(contents, f"clips.{kind}")
    assert (clip.path, clip.name, clip.label) == (f"{tmp_path}/{name}", name, "wave")


def test_text_is_composed_but_the_path_is_the_files_own(clips_of):
    (clip,) = clips_of("path,label\ncafe\u0301.mp4,e\u0301te\u0301\n")
    assert (os.path.basename(clip.path), clip.name, clip.label) == ("cafe\u0301.mp4", "caf\u00e9.mp4", "\u00e9t\u00e9")


def test_what_spreadsheets_write_is_read(clips_of):
    (clip,) = clips_of('\ufeffpath , label\r\n"a.mp4", wave\r\n,\r\n\r\n')
    assert (clip.name, clip.label) == ("a.mp4", "wave")


def test_parquet_types_become_text(clips_of):
    one, other = clips_of(
        parquet(
            path=["a.mp4", "b.mp4"],
            start=[1, 0],
            end=[2.5, None],
            mirrored=[True, False],
            label=["wave", None],
            age=[30, None],
        ),
        "clips.parquet",
    )
    assert (one.start, one.end, one.mirrored, one.columns) == (1.0, 2.5, True, {"age": "30"})
    assert (other.start, other.end, other.mirrored, other.label, other.columns) == (0.0, None, False, "", {"age": ""})


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("file,label", ["no column 'path' in file, label"]),
        ("paht,label", ["no column 'path'", "Rename 'paht'?"]),
        ("Path,label", ["no column 'path'", "Rename 'Path'?"]),
        ("path;label", ["no column 'path'", "separated by ';'", "with commas"]),
        ("path\tlabel", ["no column 'path'", "separated by '\\t'", "with commas"]),
        ("path,lable", ["column 'lable' looks like a misspelt 'label'", "rename it"]),
        ("path,Subject", ["column 'Subject' looks like a misspelt 'subject'"]),
        ("path,label,label", ["two columns are called 'label'"]),
    ],
)
def test_a_wrong_header_is_named_with_the_way_out(refusal, tmp_path, header, words):
    text = refusal(f"{header}\n{'a,' * header.count(',')}a\n")
    for word in [f"{tmp_path}/clips.csv", *words]:
        assert word in text


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        ("path,label\na.mp4,wave\nb.mp4,wave,more\n", ["line 3: 3 cells, and the header has 2", "Quote a cell"]),
        ('path,label\n"a\nb.mp4",wave\nc.mp4\n', ["line 4: 1 cells"]),
        (b"path\n\x89PNG\xff\n", ["line 2: not UTF-8", "CSV in UTF-8"]),
        ('path\na.mp4\n"b.mp4\n', ["line 3: no CSV"]),
        ('path\n"a.mp4"x\n', ["line 2: no CSV"]),
        ("path,end\na.mp4,\nb.mp4,soon\n", ["line 3: end is 'soon', not a number of seconds"]),
        ("path,start\na.mp4,-1\n", ["line 2: start is '-1'"]),
        ("path,start\na.mp4,nan\n", ["line 2: start is 'nan'"]),
        ("path,start,end\na.mp4,2,2\n", ["line 2: start 2 is not before end 2"]),
        ("path,mirrored\na.mp4,left\n", ["line 2: mirrored is 'left', neither true nor false"]),
        ("path,split\na.mp4,tset\n", ["line 2: split 'tset' is none of train, validation, test"]),
        ("path,label\n ,wave\n", ["line 2: the path is empty"]),
        ("path,label\n", ["the manifest has no rows"]),
        ("", ["the manifest has no rows"]),
    ],
)
def test_a_bad_row_is_refused_with_its_line(refusal, tmp_path, contents, words):
    text = refusal(contents)
    for word in [f"{tmp_path}/clips.csv", *words]:
        assert word in text


def test_a_bad_parquet_row_is_refused_with_its_number(refusal, tmp_path):
    text = refusal(parquet(path=["a.mp4", None]), "clips.parquet")
    assert f"{tmp_path}/clips.parquet, row 2: the path is empty" in text


def test_what_is_no_table_is_refused(refusal, clips_of, tmp_path):
    assert "no Parquet table" in refusal("path\na.mp4\n", "clips.parquet")
    assert "no column 'path'" in refusal('{"clips": []}\n')
    with pytest.raises(InputError, match=r"none\.csv: cannot read the manifest"):
        read_manifest(str(tmp_path / "none.csv"))


def test_equal_parts_of_a_file_are_refused(refusal):
    text = refusal("path,label,start,end\nin/a.mp4,wave,1,2\nin/a.mp4,push,1,2\n")
    assert "in/a.mp4" in text
    assert "twice with the same start and end" in text
    assert "Remove one row" in text


@pytest.mark.parametrize("other", ["./a.mp4", "in/../a.mp4", ".//a.mp4"])
def test_two_spellings_of_a_path_are_one_file(clips_of, other):
    one, two = clips_of(f"path,start,end\na.mp4,0,1\n{other},1,2\n")
    assert one.path == two.path


def test_views_of_a_take_in_two_splits_are_refused(refusal, clips_of):
    table = "path,take,view,split\na.mp4,t1,cam0,train\nb.mp4,t1,{view},{split}\n"
    text = refusal(table.format(view="cam1", split="test"))
    assert "a.mp4 and b.mp4 are views of take 't1', and in train and test" in text
    assert "one split" in text
    # Takes that are numbered anew in each split are two takes.
    assert len({clip.key for clip in clips_of(table.format(view="cam0", split="test"))}) == 2
    assert len({clip.key for clip in clips_of(table.format(view="cam1", split="train"))}) == 1


def test_two_clips_of_one_view_are_refused(refusal):
    text = refusal("path,take,view\na.mp4,t1,cam0\nb.mp4,t1,cam0\n")
    assert "a.mp4 and b.mp4 both claim view 'cam0' of take 't1'" in text
    assert "columns of a manifest" in text
