"""Writes images of every format and mode that PIL writes, and the pixels that PIL and torchvision compute from them,
for tests/images.rs.

    make_images.py FOLDER

FOLDER receives the images, their pixels as raw RGB, and index.json, which lists the files that belong together."""

import io
import json
import os
import struct
import sys
import warnings

import numpy as np
import torch
from PIL import Image, ImageOps
from torchvision.transforms import InterpolationMode
from torchvision.transforms import autoaugment
from torchvision.transforms import functional as F
from torchvision.transforms import transforms as T

torch.set_num_threads(1)
warnings.simplefilter("ignore")
FOLDER = sys.argv[1]
RANDOM = np.random.default_rng(7)
INDEX = {"decoded": [], "resized": [], "prepared": [], "parts": [], "operations": []}


def picture(height, width, channels=3):
    """An image like a photograph: smooth colours, a few shapes with hard edges, a little noise."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    layers = []
    for channel in range(channels):
        layer = 128 + 90 * np.sin(x / (7 + 5 * channel) + channel) * np.cos(y / (11 - channel))
        layer[((x - width / 3) ** 2 + (y - height / 2) ** 2) < (min(height, width) / 4) ** 2] = 40 + 70 * channel
        layers.append(layer + RANDOM.normal(0, 6, layer.shape))
    return np.clip(np.stack(layers, -1), 0, 255).astype(np.uint8)


def write(name, data):
    with open(os.path.join(FOLDER, name), "wb") as handle:
        handle.write(data)


def raw(name, image):
    """Writes an image's pixels and returns its entry in the index."""
    image = image.convert("RGB")
    write(name, image.tobytes())
    return {"pixels": name, "height": image.height, "width": image.width}


def decoded(name, data, lossy=False):
    write(name, data)
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    INDEX["decoded"].append({"file": name, "lossy": lossy, **raw(name + ".raw", image)})


def saved(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def colour_modes(height, width):
    rgb = Image.fromarray(picture(height, width))
    alpha = Image.fromarray(picture(height, width, 4), "RGBA")
    return {
        "rgb": rgb,
        "rgba": alpha,
        "grey": rgb.convert("L"),
        "grey_alpha": alpha.convert("LA"),
        "bit": rgb.convert("1"),
        "palette": rgb.quantize(57),
        "palette4": rgb.quantize(13),
        "grey16": Image.fromarray((picture(height, width, 1)[..., 0].astype(np.uint16) * 3)),
        "cmyk": Image.fromarray(picture(height, width, 4), "CMYK"),
        "integers": Image.fromarray(picture(height, width, 1)[..., 0].astype(np.int32) * 2 - 50),
        "floats": Image.fromarray(picture(height, width, 1)[..., 0].astype(np.float32) * 1.5 - 50),
    }


def all_formats():
    for height, width in [(1, 1), (37, 53), (64, 48), (17, 129)]:
        modes, size = colour_modes(height, width), f"{height}x{width}"
        for mode in ["rgb", "rgba", "grey", "grey_alpha", "bit", "palette", "palette4", "grey16"]:
            decoded(f"{mode}_{size}.png", saved(modes[mode], "PNG"))
        for mode in ["rgb", "grey", "bit", "palette", "rgba"]:
            decoded(f"{mode}_{size}.bmp", saved(modes[mode], "BMP"))
        for mode in ["grey", "bit", "palette", "palette4", "rgb"]:
            decoded(f"{mode}_{size}.gif", saved(modes[mode], "GIF"))
        for mode in ["rgb", "rgba"]:
            decoded(f"{mode}_lossless_{size}.webp", saved(modes[mode], "WEBP", lossless=True, exact=True))
            decoded(f"{mode}_{size}.webp", saved(modes[mode], "WEBP", quality=80), lossy=True)
        for mode, image in modes.items():
            decoded(f"{mode}_{size}.tiff", saved(image, "TIFF"))
        for compression in ["tiff_lzw", "tiff_deflate", "packbits", "tiff_adobe_deflate"]:
            for mode in ["rgb", "grey", "palette", "cmyk"]:
                decoded(f"{mode}_{compression}_{size}.tiff", saved(modes[mode], "TIFF", compression=compression))
        decoded(f"fax_{size}.tiff", saved(modes["bit"], "TIFF", compression="group4"))
        for subsampling in [0, 1, 2]:
            for progressive in [False, True]:
                name = f"rgb_{size}_{subsampling}_{'progressive' if progressive else 'baseline'}.jpg"
                options = {"quality": 85, "subsampling": subsampling, "progressive": progressive}
                decoded(name, saved(modes["rgb"], "JPEG", **options), lossy=True)
        for mode in ["grey", "cmyk"]:
            decoded(f"{mode}_{size}.jpg", saved(modes[mode], "JPEG", quality=90), lossy=True)
        decoded(f"restarts_{size}.jpg", saved(modes["rgb"], "JPEG", restart_marker_blocks=3), lossy=True)
        decoded(f"unlike_its_name_{size}.jpg", saved(modes["rgb"], "PNG"))
        decoded(f"rgb_keep_{size}.jpg", saved(modes["rgb"], "JPEG", keep_rgb=True), lossy=True)

    rgb, palette = Image.fromarray(picture(40, 30)), Image.fromarray(picture(40, 30)).quantize(20)
    decoded("palette_transparent.png", saved(palette, "PNG", transparency=3))
    decoded("palette_alphas.png", saved(palette, "PNG", transparency=bytes(range(0, 200, 10))))
    decoded("palette_transparent.gif", saved(palette, "GIF", transparency=3))
    decoded("rgb_transparent.png", saved(rgb, "PNG", transparency=(40, 110, 180)))
    decoded("grey_transparent.png", saved(rgb.convert("L"), "PNG", transparency=100))
    decoded("adobe.jpg", adobe(saved(Image.fromarray(picture(40, 30, 4), "CMYK"), "JPEG", quality=90), 2), lossy=True)
    decoded("interlaced.gif", saved(palette, "GIF", interlace=1))
    frames = [Image.fromarray(picture(33, 44)) for _ in range(3)]
    decoded("animated.gif", saved(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    decoded("animated.webp", saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True))
    decoded("animated.png", saved(frames[0], "PNG", save_all=True, append_images=frames[1:]))
    pages = [Image.fromarray(picture(20, 30)), Image.fromarray(picture(50, 10))]
    decoded("pages.tiff", saved(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
    decoded("small_frame.gif", small_frame(saved(palette, "GIF"), 50, 60))
    decoded("rgb48.png", png16(picture(21, 23).astype(np.uint16) * 257 + 3, 2))
    decoded("rgba64.png", png16(picture(21, 23, 4).astype(np.uint16) * 201 + 77, 6))
    decoded("grey_alpha32.png", png16(picture(21, 23, 2).astype(np.uint16) * 201 + 77, 4))
    decoded("white_is_zero.tiff", saved(rgb.convert("1"), "TIFF", tiffinfo={262: 0}))
    large = Image.fromarray(picture(421, 389))
    for subsampling in [0, 1, 2]:
        decoded(f"large_{subsampling}.jpg", saved(large, "JPEG", quality=90, subsampling=subsampling), lossy=True)
    decoded("large.webp", saved(large, "WEBP", quality=90), lossy=True)
    trailing = saved(rgb, "JPEG") + b"\0" * 100
    decoded("trailing_bytes.jpg", trailing, lossy=True)
    decoded("jpeg_inside.tiff", saved(rgb, "TIFF", compression="jpeg"), lossy=True)


    for name, data in bitmaps():
        decoded(f"{name}.bmp", data)


def bitmaps():
    """BMPs of the kinds that PIL reads and does not write."""
    width, height = 21, 13

    def bitmap(bits, compression=0, palette=b"", masks=(), size=40, top_down=False, planes=1, rows=None):
        rows = rows or RANDOM.bytes((width * bits + 31) // 32 * 4 * height)
        masks = struct.pack(f"<{len(masks)}I", *masks)
        offset = 14 + size + len(masks) + len(palette)
        header = struct.pack("<IiiHHIIiiII", size, width, -height if top_down else height, planes, bits, compression,
                             len(rows), 2835, 2835, 0, 0) + bytes(size - 40)
        return struct.pack("<2sIHHI", b"BM", offset + len(rows), 0, 0, offset) + header + masks + palette + rows

    colours = b"".join(RANDOM.bytes(3) + b"\0" for _ in range(256))
    yield "five_bits", bitmap(16)
    yield "five_bits_top_down", bitmap(16, top_down=True)
    yield "masks_565", bitmap(16, 3, masks=(0xF800, 0x7E0, 0x1F))
    yield "masks_555", bitmap(16, 3, masks=(0x7C00, 0x3E0, 0x1F))
    yield "masks_8888", bitmap(32, 3, masks=(0xFF0000, 0xFF00, 0xFF))
    yield "four_bits_top_down", bitmap(4, palette=colours[:64], top_down=True)
    yield "os2_second", bitmap(24, size=64)
    yield "os2_second_palette", bitmap(8, palette=colours, size=64)
    yield "version_5", bitmap(24, size=124)
    yield "no_planes", bitmap(24, planes=0)
    runs = b"".join(bytes([9, 3, 0, 5, 1, 2, 3, 4, 5, 0, 7, line, 0, 0]) for line in range(height)) + b"\0\1"
    yield "runs", bitmap(8, 1, palette=colours, rows=runs)
    core = struct.pack("<IHHHH", 12, width, height, 1, 8) + colours[:768]
    rows = RANDOM.bytes(24 * height)
    yield "os2_first", struct.pack("<2sIHHI", b"BM", 14 + len(core) + len(rows), 0, 0, 14 + len(core)) + core + rows


def adobe(data, transform):
    """The colour transform that a JPEG's Adobe segment names, changed: 2 is YCCK."""
    at = data.index(b"Adobe")
    return data[: at + 11] + bytes([transform]) + data[at + 12 :]


def small_frame(data, height, width):
    """A GIF whose canvas is larger than its frame."""
    return data[:6] + struct.pack("<HH", width, height) + data[10:]


def png16(samples, colour_type):
    """A PNG with 16 bits a sample, of colours that PIL does not write."""
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = samples.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def orientations():
    image = Image.fromarray(picture(24, 40))
    for orientation in range(0, 10):
        exif = Image.Exif()
        exif[0x0112] = orientation
        for kind, lossy, options in [
            ("jpg", True, {"format": "JPEG", "quality": 95}),
            ("png", False, {"format": "PNG"}),
            ("webp", False, {"format": "WEBP", "lossless": True}),
            ("tiff", False, {"format": "TIFF"}),
        ]:
            buffer = io.BytesIO()
            image.save(buffer, exif=exif, **options)
            decoded(f"turned_{orientation}.{kind}", buffer.getvalue(), lossy)
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    decoded("turned_xmp.jpg", saved(image, "JPEG", xmp=xmp), lossy=True)


INTERPOLATIONS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def resizes():
    for number, (height, width) in enumerate([(97, 131), (300, 200), (5, 400), (1, 1), (224, 224)]):
        image = Image.fromarray(picture(height, width))
        source = raw(f"resize_{number}.raw", image)
        boxes = [None, (width * 0.1, height * 0.2, width * 0.83, height * 0.97)]
        for interpolation, value in INTERPOLATIONS.items():
            for to in [(64, 64), (31, 77), (256, 192), (height, width), (1, 1), (height, 40), (333, width)]:
                for box in boxes:
                    name = f"resize_{number}_{interpolation}_{to[0]}x{to[1]}_{'box' if box else 'all'}.raw"
                    done = image.resize((to[1], to[0]), value, box=box)
                    INDEX["resized"].append(
                        {"source": source, "interpolation": interpolation, "to": to, "box": box, **raw(name, done)}
                    )


def preparations():
    from timm.data.transforms import CenterCropOrPad, ResizeKeepRatio

    sizes = [(97, 131), (300, 200), (375, 500), (5, 400), (32, 32), (257, 256), (1, 1)]
    for number, (height, width) in enumerate(sizes):
        image = Image.fromarray(picture(height, width))
        source = raw(f"prepare_{number}.raw", image)
        for interpolation, value in INTERPOLATIONS.items():
            mode = {m.value: m for m in InterpolationMode}[interpolation]
            for at, (resize, crop, steps) in enumerate(
                [
                    ({"shortest": 256}, (224, 224), [T.Resize(256, mode), T.CenterCrop(224)]),
                    ({"shortest": 73}, (64, 50), [T.Resize(73, mode), T.CenterCrop((64, 50))]),
                    ({"shortest": 32}, (32, 32), [T.Resize(32, mode), T.CenterCrop(32)]),
                    ({"shortest": 50}, (71, 90), [T.Resize(50, mode), T.CenterCrop((71, 90))]),
                    ({"exact": {"height": 90, "width": 61}}, (90, 61), [T.Resize((90, 61), mode)]),
                    (
                        {"exact": {"height": 90, "width": 61}},
                        (33, 60),
                        [T.Resize((90, 61), mode), T.CenterCrop((33, 60))],
                    ),
                    ("unchanged", (77, 77), [T.CenterCrop(77)]),
                    (
                        {"covering": {"height": 60, "width": 84}},
                        (52, 80),
                        [ResizeKeepRatio((60, 84), interpolation=interpolation), T.CenterCrop((52, 80))],
                    ),
                    (
                        {"longest": 80},
                        (75, 75),
                        [
                            ResizeKeepRatio(80, longest=1.0, interpolation=interpolation),
                            CenterCropOrPad(75, fill=(124, 116, 104)),
                        ],
                    ),
                ]
            ):
                if resize == {"longest": 80} and min(height, width) * 80 < max(height, width):
                    continue
                name = f"prepare_{number}_{interpolation}_{at}.raw"
                settings = {"resize": resize, "crop": crop, "interpolation": interpolation}
                prepared = raw(name, T.Compose(steps)(image))
                INDEX["prepared"].append({"source": source, "preprocessing": settings, **prepared})


def parts():
    """Crops of images, resized without the pixels around them."""
    image = Image.fromarray(picture(120, 90))
    source = raw("part.raw", image)
    for interpolation in INTERPOLATIONS:
        mode = {m.value: m for m in InterpolationMode}[interpolation]
        for top, left, height, width in [(0, 0, 120, 90), (13, 7, 80, 61), (100, 80, 20, 10), (5, 5, 1, 1)]:
            name = f"part_{interpolation}_{top}_{height}.raw"
            done = F.resized_crop(image, top, left, height, width, [64, 64], mode)
            entry = {"source": source, "interpolation": interpolation, "window": [top, left, height, width]}
            INDEX["parts"].append({**entry, **raw(name, done)})


def operations():
    for number, (height, width) in enumerate([(64, 64), (45, 70), (1, 3)]):
        image = Image.fromarray(picture(height, width))
        source = raw(f"operation_{number}.raw", image)

        def done(operation, image):
            name = f"operation_{number}_{len(INDEX['operations'])}.raw"
            INDEX["operations"].append({"source": source, "operation": operation, **raw(name, image)})

        for factor in [0.0, 0.3, 0.9, 1.0, 1.4, 1.9]:
            done({"brightness": factor}, F.adjust_brightness(image, factor))
            done({"contrast": factor}, F.adjust_contrast(image, factor))
            done({"saturation": factor}, F.adjust_saturation(image, factor))
            done({"sharpness": factor}, F.adjust_sharpness(image, factor))
        for shift in [-0.5, -0.2, -0.03, 0.0, 0.1, 0.37, 0.5]:
            done({"hue": shift}, F.adjust_hue(image, shift))
        # The options with which RandAugment calls these operations.
        auto = {"interpolation": InterpolationMode.NEAREST, "fill": None}
        for amount in [-0.3, -0.07, 0.0, 0.11, 0.3]:
            for key, name in [("shear_x", "ShearX"), ("shear_y", "ShearY")]:
                done({key: amount}, autoaugment._apply_op(image, name, amount, **auto))
        for amount in [-20.0, -7.5, 0.0, 3.2, 15.0]:
            for key, name in [("translate_x", "TranslateX"), ("translate_y", "TranslateY")]:
                done({key: int(amount)}, autoaugment._apply_op(image, name, amount, **auto))
        for amount in [-30.0, -11.0, 0.0, 4.0, 29.0]:
            done({"rotate": amount}, autoaugment._apply_op(image, "Rotate", amount, **auto))
        for bits in [1, 4, 8]:
            done({"posterize": bits}, autoaugment._apply_op(image, "Posterize", bits, **auto))
        for threshold in [0.0, 100.0, 255.0]:
            done({"solarize": threshold}, autoaugment._apply_op(image, "Solarize", threshold, **auto))
        done("auto_contrast", autoaugment._apply_op(image, "AutoContrast", 0.0, **auto))
        done("equalize", autoaugment._apply_op(image, "Equalize", 0.0, **auto))
        done("flip", F.hflip(image))


all_formats()
orientations()
resizes()
preparations()
parts()
operations()
write("index.json", json.dumps(INDEX).encode())
