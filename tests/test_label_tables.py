"""Tables of labels as people's tools write them: read where there is one meaning, else refused in one line."""

from pathlib import Path

import pytest

from irn.data.findings import Findings
from irn.data.label_table import read_labels
from irn.data.listing import Listed
from irn.data.user_splits import read_splits, splits_in_labels
from irn.errors import IrnError

IMAGES = [Listed(f"p{number}", Path(f"/set/images/p{number}.jpg"), "train") for number in range(4)]
BOTH = {"p0": ["cat"], "p1": ["cat", "dog"], "p2": [], "p3": ["dog"]}


def read(folder: Path, text: str, images: list[Listed] = IMAGES) -> tuple[dict[str, list[str]], Findings]:
    """The class names of each image, and what was found."""
    (folder / "labels.csv").write_text(text, encoding="utf-8")
    findings = Findings()
    classes = read_labels(folder / "labels.csv", images, findings)
    return {i: [classes.names[index] for index in present] for i, present in classes.present.items()}, findings


def table(*cells: str, header: str = "image_id,cat,dog", mark: str = ",") -> str:
    """A table with a row of two cells for each image."""
    rows = [mark.join([f"p{number}", *cells[2 * number : 2 * number + 2]]) for number in range(4)]
    return "\n".join([header, *rows, ""])


@pytest.mark.parametrize(
    ("yes", "no", "said"),
    [
        ("1", "-1", "4 cells are -1, which is read as 0 (absent), since no cell is 0"),
        ("1.0", "-1.0", "4 cells are -1"),
        ("x", "", "4 cells hold a mark (x), which is read as 1 (present)"),
        ("X", "-", "4 cells hold a mark (x)"),
        ("✓", "", "4 cells hold a mark (✓)"),
        ("1", "", "4 cells are empty, which is read as 0 (absent), since no cell says so otherwise"),
        ("1", "nan", "4 cells are empty"),
        ("WAHR", "FALSCH", "falsch, wahr are read as 1 (present) and 0 (absent)"),
        ("VRAI", "FAUX", "faux, vrai are read as"),
        ("ИСТИНА", "ЛОЖЬ", "истина, ложь are read as"),
        ("Ja", "Nein", "ja, nein are read as"),
        ('"1,0"', '"0,0"', ""),
        ("1.", "0.", ""),
        ("1e0", "0e0", ""),
        ("+1", "0", ""),
        ("Yes", "No", ""),
    ],
)
def test_words_for_yes_and_no(tmp_path: Path, yes: str, no: str, said: str) -> None:
    present, findings = read(tmp_path, table(yes, no, yes, yes, no, no, no, yes))
    assert present == BOTH
    assert findings.problems == []
    assert any(said in line for line in (*findings.notes, *findings.notices, ""))


def test_decimal_commas_of_a_table_with_semicolons(tmp_path: Path) -> None:
    cells = ["1,0", "0,0", "1,0", "1,0", "0,0", "0,0", "0,0", "1,0"]
    assert read(tmp_path, table(*cells, header="image_id;cat;dog", mark=";"))[0] == BOTH


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["0.9", "0.03", "0.9", "0.8", "0.1", "0.2", "0.3", "0.7"], "8 of 8 cells are between 0 and 1, as probab"),
        (["0,9", "0,1"] * 4, "8 of 8 cells are between 0 and 1"),
        (["1", "0", "1", "-1", "0", "-1", "0", "1"], "2 of 8 cells are -1 beside others that are 0"),
        (["3", "0", "1", "2", "0", "0", "0", "7"], "3 of 8 cells are other numbers than 0 and 1"),
        (["1", "0", "", "1", "", "0", "0", "1"], "2 of 8 cells are empty"),
        (["1", "0", "maybe", "1", "?", "0", "0", "1"], "2 of 8 cells say neither yes nor no"),
        (["1", "0", "x", "1", "x", "0", "0", "1"], "2 of 8 cells say neither yes nor no"),
    ],
)
def test_cells_without_one_meaning_are_refused_in_one_line(tmp_path: Path, cells: list[str], said: str) -> None:
    (problem,) = read(tmp_path, table(*[f'"{cell}"' for cell in cells]))[1].problems
    assert said in str(problem)


def test_each_kind_of_mistake_is_one_line(tmp_path: Path) -> None:
    text = table("2", "0", "3", "?", "0", "!", "0", "1") + "q1,1,0\nq2,1,0\n"
    more = [Listed(name, Path(f"/set/images/{name}.jpg"), "train") for name in ("a", "b", "c", "d", "e", "f", "g")]
    problems = [str(problem) for problem in read(tmp_path, text, [*IMAGES, *more])[1].problems]
    assert len(problems) == 4
    for words in (
        "no image for 2 of the 6 rows ('q1', 'q2')",
        "2 of 12 cells are other numbers",
        "2 of 12 cells say neither",
        "no row for 7 of the 11 images ('a', 'b', 'c', 'd', 'e' and 2 more)",
    ):
        assert sum(words in problem for problem in problems) == 1


@pytest.mark.parametrize(
    "cells",
    [
        ["cat", "cat|dog", "", "dog"],
        ["['cat']", "['cat', 'dog']", "[]", "['dog']"],
        ["['cat']", "['cat' 'dog']", "[]", "['dog']"],
        ['["cat"]', '["cat", "dog"]', "[]", '["dog"]'],
        ["('cat',)", "('cat', 'dog')", "()", "('dog',)"],
        ["{'cat'}", "{'dog', 'cat'}", "set()", "{'dog'}"],
        ["[cat]", "[cat, dog]", "[]", "[dog]"],
        ["cat", '{"choices": ["cat", "dog"]}', "", "dog"],
        ['[{"x": 1, "y": 1, "width": 9, "height": 9, "rectanglelabels": ["cat"]}]', "cat;dog", "", "dog"],
        ["cat", "cat, dog", "none", "dog"],
        ["cat", "cat dog", "NaN", "dog"],
        ["cat", "cat\ndog", "Unlabeled", "dog"],
        ["cat", "cat|dog", "N/A", "dog"],
    ],
)
@pytest.mark.parametrize("column", ["labels", "Class Name", "choice"])
def test_names_in_a_cell(tmp_path: Path, cells: list[str], column: str) -> None:
    quoted = ['"' + cell.replace('"', '""') + '"' for cell in cells]
    present, findings = read(tmp_path, f"image_id,{column}\n" + "".join(f"p{n},{c}\n" for n, c in enumerate(quoted)))
    assert present == BOTH
    assert findings.problems == []


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (['{"cat": 1, "dog": 0}', "cat"], "1 cells give each class a value"),
        (["{'cat': 0.1}", "{'cat': 0.9}"], "2 cells give each class a value"),
        (["{'label': 'cat'}", "cat"], "1 cells give each class a value"),
        (['{"cat": 1, "dog": 12}', "{'cat', 'dog'}"], ""),
    ],
)
def test_a_value_for_each_class_in_a_cell(tmp_path: Path, cells: list[str], said: str) -> None:
    text = "image_id\tlabels\n" + "".join(f"p{n}\t{cell}\n" for n, cell in enumerate(cells))
    present, findings = read(tmp_path, text, IMAGES[:2])
    assert [said in str(problem) for problem in findings.problems] == [True] * bool(said)
    assert said or present["p0"] == present["p1"] == ["cat", "dog"]


@pytest.mark.parametrize(
    "cells", [["clear primary", "clear water", "primary water", "haze"], ["16 0", "7 1", "5", "5 0"]]
)
def test_blanks_between_what_may_be_several_classes_are_told(tmp_path: Path, cells: list[str]) -> None:
    _, findings = read(tmp_path, "image_id,tags\n" + "".join(f"p{n},{c}\n" for n, c in enumerate(cells)))
    assert f"{cells[0]}, " in findings.notices[0]
    assert "one class each; write '|' between them if several are meant" in findings.notices[0]


def test_names_with_blanks_stay_whole(tmp_path: Path) -> None:
    present, findings = read(tmp_path, "image_id,label\np0,traffic light\np1,car\np2,stop sign\np3,traffic light\n")
    assert present["p0"] == ["traffic light"]
    assert findings.notices == []


def test_names_with_apostrophes_in_lists(tmp_path: Path) -> None:
    cells = ['"[""bird\'s nest"", \'cat\']"', "[]", "[]", "['cat']"]
    present, _ = read(tmp_path, "image_id,label\n" + "".join(f"p{n},{c}\n" for n, c in enumerate(cells)))
    assert present["p0"] == ["bird's nest", "cat"]


def test_a_row_for_each_label(tmp_path: Path) -> None:
    present, findings = read(tmp_path, "image_id,label\np0,cat\np1,cat\np1.jpg,dog\np2,\np3,dog\np3,dog\n")
    assert present == BOTH
    assert "2 images have several rows, and the classes of all of them" in findings.notices[0]


@pytest.mark.parametrize(
    ("column", "there", "absent"),
    [("present", "True", "False"), ("verified", "1.0", "0.0"), ("segmentation", "1 5", "")],
)
def test_a_row_for_each_class_there_or_not(tmp_path: Path, column: str, there: str, absent: str) -> None:
    header, words = (
        f"image_id,class,{column}\n",
        f"the column {column!r}, which may say that a class is not there, is not",
    )
    text = header + "".join(
        f"p{number},{name},{there if name in held else absent}\n"
        for number, held in enumerate(BOTH.values())
        for name in ("cat", "dog")
    )
    assert f"every image has rows of all classes, and {words}" in str(read(tmp_path, text)[1].problems[0])
    _, findings = read(tmp_path, f"{header}p0,cat,{absent}\np1,cat,{there}\np1,dog,{there}\np2,,\np3,dog,{absent}\n")
    assert findings.problems == []
    assert words in " ".join(findings.notices)


@pytest.mark.parametrize(("yes", "no"), [("1.0", "0.0"), ("True", "False"), ("1", "0")])
def test_a_class_that_is_called_as_other_columns_are(tmp_path: Path, yes: str, no: str) -> None:
    present, _ = read(tmp_path, table(yes, no, yes, yes, no, no, no, yes, header="image_id,picture,url"))
    assert read(tmp_path, table("0.0", "1", "1.0", "0", header="image_id,fold,cat"), IMAGES[:2])[0]["p1"] == []
    assert present == {"p0": ["picture"], "p1": ["picture", "url"], "p2": [], "p3": ["url"]}


def test_a_cell_of_what_a_brush_painted(tmp_path: Path) -> None:
    region = '{""rle"": [' + "0, " * 50000 + '0], ""format"": ""rle"", ""brushlabels"": [""cat""]}'
    present, _ = read(tmp_path, f'image,tag\np0.jpg,"[{region}]"\np1.jpg,dog\n', IMAGES[:2])
    assert present == {"p0": ["cat"], "p1": ["dog"]}


def test_numbers_of_classes_beside_their_names(tmp_path: Path) -> None:
    rows = "".join(
        f"p{n},{name},{number}\n" for n, (name, number) in enumerate((("cat", 0), ("dog", 1), ("", 0), ("dog", 1)))
    )
    present, findings = read(tmp_path, f"image_id,class,class_id\n{rows}p0,dog,1\n")
    assert present == {"p0": ["cat", "dog"], "p1": ["dog"], "p2": [], "p3": ["dog"]}
    assert findings.problems == []
    assert len(findings.notices) == 1  # of the rows


def test_run_lengths_in_annotations_are_no_names(tmp_path: Path) -> None:
    text = "id,annotation,cell_type\np0,0 6 9 7,cort\np1,1 6 9 7,astro\np2,2 6 9 7,cort\np3,3 6 9 7,cort\n"
    assert "where its cells are names of classes, call it 'labels'" in str(read(tmp_path, text)[1].problems[0])


def test_a_row_for_each_box(tmp_path: Path) -> None:
    text = "filename,width,height,class,xmin,ymin,xmax,ymax\n" + "".join(
        f"p{number}.jpg,96,64,{name},1,1,0,1\n" for number, names in enumerate(BOTH.values()) for name in names
    )
    present, findings = read(tmp_path, text + "p2.jpg,96,64,,,,,\n")
    assert present == BOTH
    assert "'width', 'height', 'xmin'" in " ".join(findings.notes)


@pytest.mark.parametrize(
    "text",
    [
        # pandas, with its index, and with the images as the index
        ",image_id,cat,dog\n0,p0,1,0\n1,p1,1,1\n2,p2,0,0\n3,p3,0,1\n",
        "Unnamed: 0,image_id,cat,dog\n0,p0,1,0\n1,p1,1,1\n2,p2,0,0\n3,p3,0,1\n",
        ",cat,dog\np0,1,0\np1,1,1\np2,0,0\np3,0,1\n",
        # the column of images elsewhere, and of other names
        "cat,dog,image_id\n1,0,p0\n1,1,p1\n0,0,p2\n0,1,p3\n",
        "id,image,cat,dog\n7,p0.jpg,1,0\n8,p1.jpg,1,1\n9,p2.jpg,0,0\n10,p3.jpg,0,1\n",
        "Photo Name,cat,dog\np0.jpg,1,0\np1.jpg,1,1\np2.jpg,0,0\np3.jpg,0,1\n",
        # Kaggle's, fastai's, Roboflow's
        "image_id,split,cat,dog\np0,train,1,0\np1,train,1,1\np2,val,0,0\np3,val,0,1\n",
        "fname,labels,is_valid\np0.jpg,cat,True\np1.jpg,cat dog,False\np2.jpg,,False\np3.jpg,dog,True\n",
        "filename, cat, dog, Unlabeled\np0.jpg, 1, 0, 0\np1.jpg, 1, 1, 0\np2.jpg, 0, 0, 1\np3.jpg, 0, 1, 0\n",
        # Label Studio's
        "annotation_id,annotator,choice,created_at,id,image,lead_time,updated_at\n"
        '1,1,cat,2024,1,/data/upload/1/0a1b2c3d-p0.jpg,3.2,2024\n2,1,"{""choices"":[""cat"",""dog""]}",2024,2,'
        "/data/upload/1/0a1b2c3d-p1.jpg,3.2,2024\n3,1,,2024,3,/data/upload/1/0a1b2c3d-p2.jpg,3.2,2024\n"
        "4,1,dog,2024,4,/data/local-files/?d=set/p3.jpg,3.2,2024\n",
    ],
)
def test_tables_of_tools(tmp_path: Path, text: str) -> None:
    present, findings = read(tmp_path, text)
    assert present == BOTH
    assert findings.problems == []


@pytest.mark.parametrize(
    ("column", "cells", "splits"),
    [
        ("split", ["train", "train", "val", "test"], ["train", "train", "val", "test"]),
        ("Set", ["train", "train", "val", "val"], ["train", "train", "val", "val"]),
        ("is_valid", ["False", "False", "True", "True"], ["train", "train", "val", "val"]),
    ],
)
def test_a_column_of_splits(tmp_path: Path, column: str, cells: list[str], splits: list[str]) -> None:
    path, findings = tmp_path / "labels.csv", Findings()
    path.write_text(f"image_id,{column},cat\n" + "".join(f"p{n},{c},1\n" for n, c in enumerate(cells)))
    assert splits_in_labels(path, IMAGES, findings) == dict(zip(BOTH, splits, strict=True))
    assert findings.problems == []
    path.write_text("image_id,cat,dog\np0,1,1\n")
    assert splits_in_labels(path, IMAGES, findings) is None


NUMBERED = [Listed(str(number), Path(f"/set/images/{number}.jpg"), "train") for number in range(4)]


@pytest.mark.parametrize(
    "header",
    ["id,filename", "image,path", ",frame", "name,image_id"],
)
def test_numbers_of_rows_are_not_taken_for_images_that_are_numbered(tmp_path: Path, header: str) -> None:
    ending = "" if "image_id" in header else ".jpg"
    text = f"{header},cat,dog\n0,2{ending},0,0\n1,3{ending},0,1\n2,0{ending},1,0\n3,1{ending},1,1\n"
    present, findings = read(tmp_path, text, NUMBERED)
    assert present == {"0": ["cat"], "1": ["cat", "dog"], "2": [], "3": ["dog"]}
    assert findings.problems == []


def test_zeros_and_ones_are_not_taken_for_images_that_are_numbered(tmp_path: Path) -> None:
    present, _ = read(tmp_path, "photo,id,cat\n1,0,1\n0,1,1\n1,2,0\n0,3,1\n", NUMBERED)
    assert present == {"0": ["photo", "cat"], "1": ["cat"], "2": ["photo"], "3": ["cat"]}


def test_rows_that_say_the_same_count_once(tmp_path: Path) -> None:
    present, findings = read(tmp_path, table("1", "0", "1", "1", "0", "0", "0", "1") + "p1,1,1\n")
    assert present == BOTH
    assert "1 images have several rows that say the same" in findings.notices[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image_id,label\np0,0\np1,1\np2,0\np3,1\n", "the column 'label' holds 0 and 1 alone"),
        ("image_id,class_id\np0,0\np1,1\np2,0\np3,1\n", "the column 'class_id' holds 0 and 1 alone"),
        ("p0,1,0\np1,1,0\np2,1,0\np3,1,0\n", "no header, since its first line names the image 'p0'"),
        ("a,b\n1,2\n", "expected the header 'image_id'"),
        ("id,name,cat\np0,p1,1\np1,p0,0\n", "the columns 'id' and 'name' name different images in the same row"),
    ],
)
def test_tables_without_one_meaning(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(IrnError) as error:
        read(tmp_path, text)
    assert said in str(error.value)


def test_a_missing_table_names_the_others(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("")
    with pytest.raises(IrnError, match=r"there is train.csv\); name it in dataset.labels_csv"):
        read_labels(tmp_path / "labels.csv", IMAGES, Findings())


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "labels.csv.txt",
            b"image_id,cat",
            "(there is labels.csv.txt); name it in dataset.labels_csv (--labels-csv), or",
        ),
        ("Labels.txt", b"image_id,cat", "(there is Labels.txt); name it in dataset.labels_csv"),
        ("labels.xlsx", b"PK", "(there is labels.xlsx); save it as labels.csv, as CSV in UTF-8"),
        ("../labels.csv", b"image_id,cat", "name the folder that holds it, {above}, as the root"),
        ("a.xml", b"<annotation><object/></annotation>", "set dataset.kind: voc"),
        ("annotations.xml", b"<?xml version='1.0'?>\n<annotations>", "export it from CVAT as COCO 1.0"),
        (
            "all.json",
            b'{"images": [], "annotations": [], "categories": []}',
            "move it to annotations/instances_train.json",
        ),
        ("captions.json", b'[{"image": "a.jpg"}]', "is a list, but not of tasks with an image and annotations each"),
        ("labels.json", b"{}", "; expected a CSV with the header 'image_id'"),
    ],
)
def test_without_a_table_what_lies_there_tells_what_to_do(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / name).write_bytes(content)
    with pytest.raises(IrnError) as error:
        read_labels(tmp_path / "set/labels.csv", IMAGES, Findings())
    assert said.format(above=tmp_path) in str(error.value)


def test_a_spreadsheet_that_is_called_csv_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(b"PK\x03\x04\xb9")
    with pytest.raises(IrnError, match="a spreadsheet's own format, whatever its name; save it as CSV in UTF-8"):
        read_labels(tmp_path / "labels.csv", IMAGES, Findings())


@pytest.mark.parametrize("sign", ["/", "+", " & ", " and "])
def test_names_with_a_sign_that_joins_none_are_told(tmp_path: Path, sign: str) -> None:
    _, findings = read(tmp_path, f"image_id,labels\np0,cat\np1,cat{sign}dog\np2,\np3,dog\n")
    assert [f"cat{sign}dog: one class each; write '|' between them" in line for line in findings.notices] == [True]


@pytest.mark.parametrize("written", ["P0", "p0.JPG ", "IMAGES/P0"])
def test_a_row_may_write_a_name_in_another_case(tmp_path: Path, written: str) -> None:
    present, findings = read(tmp_path, table("1", "0", "1", "1", "0", "0", "0", "1").replace("p0", written))
    assert present == BOTH
    assert findings.problems == []


def test_a_row_means_the_image_of_its_own_case_where_two_differ_so(tmp_path: Path) -> None:
    images = [Listed(name, Path(f"/set/images/{name}.jpg"), "train") for name in ("a", "A")]
    present, findings = read(tmp_path, "image_id,cat\na,1\nA,0\n", images)
    assert present == {"a": ["cat"], "A": []}
    assert findings.problems == []


def test_a_column_of_other_words_is_one_line_that_names_it(tmp_path: Path) -> None:
    _, findings = read(tmp_path, table("1", "me", "1", "you", "0", "me", "0", "me", header="image_id,cat,photographer"))
    assert [problem.problem for problem in findings.problems] == [
        "no cell of the column 'photographer' says yes or no (the first has 'me')"
    ]
    assert "leave the column out, or, where its cells are names of classes, call it 'labels'" in str(findings.problems)


def test_ids_that_a_spreadsheet_shortened_are_told(tmp_path: Path) -> None:
    _, findings = read(tmp_path, "image_id,cat\n2.02401E+17,1\n2.02401E+17,0\np2,1\np3,0\n")
    assert "a spreadsheet has shortened them as numbers" in findings.problems[0].problem


def test_splits_that_differ_by_case_alone_are_told(tmp_path: Path) -> None:
    (tmp_path / "splits.csv").write_text("image_id,split\np0,train\np1,Train\np2,train\np3,train\n")
    findings = Findings()
    read_splits(tmp_path / "splits.csv", IMAGES, findings)
    assert "splits 'Train' and 'train' differ by case or blanks alone, and are two" in findings.notices[0]
