"""What integrators write, rightly and wrongly."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from edge.accuracy.account import Account, Film, Passage, Stay
from edge.accuracy.truth import read_truth
from edge.camera.file import Footage
from edge.errors import ConfigurationError
from edge.settings import CameraSettings

FOOTAGE = Footage(frames=800, seconds=80.0, rate=10.0)
FILM = Film(moments=[number / 10 for number in range(800)], image_size=(640, 480))
DOOR = {"id": "entrance", "a": (0, 300), "b": (640, 300)}
BACK = {"id": "back", "a": (0, 100), "b": (640, 100)}


def camera(*lines: Mapping[str, object]) -> CameraSettings:
    settings = {"id": "door", "image_size": (640, 480), "synthetic": {}, "line": lines}
    return CameraSettings.model_validate(settings)


def account(folder: Path, text: str, name: str = "truth.csv") -> Account:
    file = folder / name
    file.write_text(text)
    return read_truth(file, camera=camera(DOOR, BACK), footage=FOOTAGE).account(FILM)


def test_a_truth_is_written_by_hand(tmp_path: Path) -> None:
    text = """
        # watched by two people on 2026-03-01
        visit,3.2,41
        visit, 0:05, 1:12.5
        crossing,12.4,entrance,in
        Crossing, 0:00:13, back, OUT
        """
    assert account(tmp_path, text) == Account(
        stays=(Stay(first=3.2, last=41.0), Stay(first=5.0, last=72.5)),
        passages=(
            Passage(at=12.4, line="entrance", direction="in"),
            Passage(at=13.0, line="back", direction="out"),
        ),
    )


def test_a_spreadsheet_may_have_saved_it(tmp_path: Path) -> None:
    file = tmp_path / "truth.csv"
    file.write_bytes(b'\xef\xbb\xbf"visit",3,4,,\r\n,,,,\r\ncrossing,5,entrance,in,\r\n')
    read = read_truth(file, camera=camera(DOOR), footage=FOOTAGE).account(FILM)
    assert (len(read.stays or ()), len(read.passages or ())) == (1, 1)


def test_who_wrote_down_one_kind_says_nothing_of_the_other(tmp_path: Path) -> None:
    assert account(tmp_path, "visit,3,4").passages is None
    assert account(tmp_path, "crossing,3,back,in").stays is None


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("vist,3,4", "found 'vist'; allowed is visit,FIRST,LAST as in visit,3.2,41, and crossing,MOMENT,LINE,in"),
        ("visit;3;4", "found 'visit;3;4'; allowed is visit,FIRST,LAST"),
        ("visit,3", "found 2 fields; allowed is visit,FIRST,LAST as in visit,3.2,41"),
        ("visit,3,4,5", "found 4 fields; allowed is visit,FIRST,LAST"),
        ("visit,three,4", "found 'three'; allowed is a moment in seconds or minutes:seconds, as in 83.5 or 1:23.5"),
        ("visit,-3,4", "found '-3'; allowed is a moment"),
        ("visit,nan,4", "found 'nan'; allowed is a moment"),
        ("visit,0:75,4", "found '0:75'; allowed is a moment"),
        ("visit,4,3", "found a visit from 4 to 3; allowed is one that ends after it began"),
        ("visit,4,4", "found a visit from 4 to 4; allowed"),
        ("visit,4,1:30", "found 1:30; the film ends after 80.0 s"),
        ("crossing,3,entrance", "found 3 fields; allowed is crossing,MOMENT,LINE,in or crossing,MOMENT,LINE,out"),
        ("crossing,3,entrence,in", "found line 'entrence'; allowed is a line of the camera: entrance, back; did you"),
        ("crossing,3,entrance,left", "found 'left'; allowed is in or out"),
        pytest.param(
            'visit,"3,4\n\n\nvisit,"5",6', "found 'visit,\"3,4', of which no row can be read", id="a quote left open"
        ),
        pytest.param(
            f"visit,3,{'4' * 200_000}", f"found 'visit,3,{'4' * 52}', of which", id="a field beyond csv's limit"
        ),
        pytest.param(f"visit,{'0' * 5000}:00:03,4", f"found '{'0' * 60}'; allowed is a moment", id="hours without end"),
        pytest.param(f"visit,3,{'4' * 5000}", f"found '{'4' * 60}'; allowed is a moment", id="seconds without end"),
    ],
)
def test_a_slip_is_told_with_its_line_and_what_would_be_right(row: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as error:
        account(tmp_path, f"visit,1,2\n\n{row}\n")
    (line,) = str(error.value).splitlines()
    assert line.startswith(f"{tmp_path / 'truth.csv'}, line 3: {told}")


def test_a_quote_left_open_hides_no_other_slip(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as error:
        account(tmp_path, 'visit,"1,2\nvisit,4,3\n# it\'s "open, "here\nvisit,5,6\n')
    first, second = str(error.value).splitlines()
    assert first.startswith(f"{tmp_path / 'truth.csv'}, line 1: found 'visit,\"1,2', of which")
    assert second.startswith(f"{tmp_path / 'truth.csv'}, line 2: found a visit from 4 to 3")


def test_all_slips_are_told_at_once_but_not_thousands(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as error:
        account(tmp_path, "visit,2,1\n" * 1000)
    lines = str(error.value).splitlines()
    assert len(lines) == 21
    assert lines[-1] == f"{tmp_path / 'truth.csv'}: and 980 more mistakes"


def test_a_camera_without_lines_has_no_crossings(tmp_path: Path) -> None:
    file = tmp_path / "truth.csv"
    file.write_text("crossing,3,entrance,in")
    with pytest.raises(ConfigurationError, match=r"line 1: found line 'entrance'; allowed is none: .* give --camera"):
        read_truth(file, camera=camera(), footage=FOOTAGE)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("truth.json", b"{}", "found a name that ends in .json; allowed is .csv .* and .txt"),
        ("truth", b"", "found a name that ends in nothing; allowed is .csv"),
        ("truth.csv", b"", "found no visit and no crossing; needed are lines as visit,FIRST,LAST"),
        ("truth.txt", b"# nobody\n", "found no label of a person; needed are lines as frame,id,left"),
        ("truth.csv", b"visit,1,\xff", "not a text in UTF-8; save it as plain text"),
    ],
)
def test_a_file_that_is_no_truth(name: str, content: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigurationError, match=told):
        read_truth(tmp_path / name, camera=camera(DOOR), footage=FOOTAGE)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"truth.csv: No such file or directory; needed is a file"):
        read_truth(tmp_path / "truth.csv", camera=camera(DOOR), footage=FOOTAGE)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("1,9,312,98", "found '1,9,312,98'; allowed is frame,id,left,top,width,height and up to four more numbers"),
        ("1 9 312 98 20 47", "found '1 9 312 98 20 47'; allowed is frame,id"),
        ("visit,3,4", "found 'visit,3,4'; allowed is frame,id"),
        ("1,9,nan,98,20,47", "found '1,9,nan,98,20,47'; allowed is"),
        ("0,9,312,98,20,47", "found frame 0 and id 9; allowed are whole numbers, frames from 1"),
        ("1.5,9,312,98,20,47", "found frame 1.5 and id 9; allowed are whole numbers"),
        ("1,9,312,98,0,47", "found a box of 0 × 47; allowed are a width and a height above 0"),
        ("801,9,312,98,20,47", "found frame 801; the film has 800"),
        ("2,7,312,98,20,47", "found person 7 in frame 2 again; allowed is once a frame"),
    ],
)
def test_a_slip_in_labels_is_told_with_its_line(row: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as error:
        account(tmp_path, f"2,7,300,98,20,47,1,1,1\n{row}\n", "gt.txt")
    (line,) = str(error.value).splitlines()
    assert line.startswith(f"{tmp_path / 'gt.txt'}, line 2: {told}")


def test_a_film_that_does_not_say_how_long_it_is_is_known_once_it_was_played(tmp_path: Path) -> None:
    file = tmp_path / "gt.txt"
    file.write_text("1,7,300,98,20,47\n900,7,300,98,20,47\n")
    truth = read_truth(file, camera=camera(DOOR), footage=Footage())
    with pytest.raises(ConfigurationError, match=r"gt.txt, line 2: found frame 900; the film has 800"):
        truth.account(FILM)


@pytest.mark.parametrize(
    ("box", "found"),
    [
        ("1e300,98,20,47", "1e+300, 98 to 1e+300, 145"),
        ("0,0,1e300,1e300", "0, 0 to 1e+300, 1e+300"),
        ("-20,98,20,47", "-20, 98 to 0, 145"),
        ("640,98,20,47", "640, 98 to 660, 145"),
        ("300,-50,20,47", "300, -50 to 320, -3"),
        ("300,480,20,47", "300, 480 to 320, 527"),
    ],
)
def test_a_box_that_is_not_in_the_picture_is_told_with_its_line(box: str, found: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as error:
        account(tmp_path, f"1,7,-10,460,20,47\n2,7,{box}\n", "gt.txt")
    told = f"{tmp_path / 'gt.txt'}, line 2: found a box from {found}; the film's pictures are 640 × 480, and allowed is"
    assert str(error.value).startswith(told)


@pytest.mark.parametrize(
    ("rows", "people"),
    [
        (["{frame},1,300,98,20,47"], 1),
        (["{frame},1,300,98,20,47,1,-1,-1,-1", "{frame},2,400,98,20,47,0,-1,-1,-1"], 1),
        (["{frame},1,300,98,20,47,1,1,0.9", "{frame},2,400,98,20,47,1,7,0.9"], 1),
        (["{frame},1,300,98,20,47,1,4.2,5.1,0", "{frame},2,400,98,20,47,1,3.3,1.2,0"], 2),
    ],
    ids=["boxes alone", "marked as not to be counted", "no pedestrian", "with places in the world"],
)
def test_only_labels_of_people_count(rows: list[str], people: int, tmp_path: Path) -> None:
    text = "\n".join(row.format(frame=frame) for frame in range(1, 40) for row in rows)
    assert len(account(tmp_path, text, "gt.txt").stays or ()) == people
