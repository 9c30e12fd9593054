"""Pictures are opened as people see them, and what is no picture is refused with a message."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from got_models.chain.chain import MAX_FILE
from got_models.commands.inputs import read_chain
from got_models.errors import GoTError
from got_models.pictures import open_picture


def png_of_size(width: int, height: int) -> bytes:
    """A tiny PNG file whose header claims this many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    end = chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + end


def test_a_photo_is_turned_upright(tmp_path: Path) -> None:
    picture = Image.new("RGB", (40, 20), "white")
    picture.paste("black", (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # taken with the camera turned: rotate by 90 degrees clockwise to show
    picture.save(tmp_path / "photo.png", exif=exif)
    upright = open_picture(tmp_path / "photo.png")
    assert upright.size == (20, 40)
    assert upright.getpixel((10, 5)) == (0, 0, 0)
    assert upright.getpixel((10, 35)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_becomes_white(mode: str, tmp_path: Path) -> None:
    picture = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    picture.paste((0, 0, 0, 255), (0, 0, 4, 8))
    picture.convert(mode).save(tmp_path / "picture.png")
    opened = open_picture(tmp_path / "picture.png")
    assert opened.mode == "RGB"
    assert opened.getpixel((0, 0)) == (0, 0, 0)
    assert opened.getpixel((7, 0)) == (255, 255, 255)


def test_half_transparency_mixes_with_white(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 8), (0, 0, 0, 51)).save(tmp_path / "picture.png")
    assert open_picture(tmp_path / "picture.png").getpixel((0, 0)) == (204, 204, 204)


@pytest.mark.parametrize("pixels", [10_000, 20_000], ids=["Pillow warns", "Pillow raises"])
def test_a_decompression_bomb_is_refused(pixels: int, tmp_path: Path) -> None:
    (tmp_path / "bomb.png").write_bytes(png_of_size(pixels, pixels))
    with pytest.raises(GoTError, match="at most 89 megapixels"):
        open_picture(tmp_path / "bomb.png")


@pytest.mark.parametrize("content", [b"", b"not a picture", png_of_size(64, 64), b"\x89PNG\r\n\x1a\n\0\0"])
def test_a_file_that_is_no_whole_picture_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(content)
    with pytest.raises(GoTError, match=r"cannot open .*picture\.png"):
        open_picture(tmp_path / "picture.png")


def test_a_picture_that_is_much_too_narrow_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (160, 10)).save(tmp_path / "narrow.png")
    assert open_picture(tmp_path / "narrow.png").size == (160, 10)
    Image.new("RGB", (10, 161)).save(tmp_path / "narrower.png")
    with pytest.raises(GoTError, match="10 x 161"):
        open_picture(tmp_path / "narrower.png")


def test_a_chain_file_of_any_size_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "chain.txt").write_bytes(b" " * (MAX_FILE + 1))
    with pytest.raises(GoTError, match="more than 1,000,000 bytes"):
        read_chain(tmp_path / "chain.txt", "generate", "a red circle")


def test_what_looks_like_coordinates_in_a_users_chain_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "chain.txt").write_text("a cat [100,200,400,500]")
    assert read_chain(tmp_path / "chain.txt", "generate", "a cat").regions == ()
    assert "warning: '[100,200,400,500]' looks like coordinates" in capsys.readouterr().err
