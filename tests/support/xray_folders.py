"""Chest X-rays in the official layouts, a few pixels each."""

import numpy as np
from PIL import Image

from gat_lightning.data import chexpert, nih

SIZE = 8


def picture(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (SIZE + 2, SIZE), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def chexpert_line(path, sex="Female", age="50", side="Frontal", view="AP", **labels):
    said = [labels.get(name, "") for name in chexpert.PATHOLOGIES]
    return ",".join([path, sex, age, side, view, *said])


def chexpert_header():
    return ",".join(["Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *chexpert.COLUMNS])


def chexpert_folder(root, patients=40, release="CheXpert-v1.0-small", images=2):
    """Every patient has ``images`` frontal images and a lateral one; labels cycle through their four values."""
    values = ("1.0", "0.0", "-1.0", "")
    for split, first, count in (("train", 1, patients), ("valid", patients + 1, 6)):
        lines = [chexpert_header()]
        for patient in range(first, first + count):
            for image in range(images + 1):
                side, view = ("Frontal", ("AP", "PA")[image % 2]) if image < images else ("Lateral", "")
                path = f"{split}/patient{patient:05d}/study{image + 1}/view1_{side.lower()}.jpg"
                picture(root / path, 10 * patient + image)
                labels = {
                    name: values[(patient + image + place) % 4] for place, name in enumerate(chexpert.PATHOLOGIES[1:])
                }
                lines.append(
                    chexpert_line(
                        f"{release}/{path}", ("Female", "Male")[patient % 2], str(patient), side, view, **labels
                    )
                )
        (root / f"{split}.csv").write_text("\n".join(lines) + "\n")
    return root


NIH_2017 = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
)
NIH_2020 = NIH_2017.removesuffix(",")


def nih_folder(root, patients=40, table=nih.TABLES[0], unpacked="archives"):
    """Two images of each patient; the first has one finding, the second none or two."""
    old = table == nih.TABLES[1]
    lines, names = [NIH_2017 if old else NIH_2020], []
    for patient in range(1, patients + 1):
        first = nih.FINDINGS[patient % 2]
        second = "No Finding" if patient % 3 else f"{first}|{nih.FINDINGS[2 + patient % 12]}"
        for image, said in enumerate((first, second)):
            name = f"{patient:08d}_{image:03d}.png"
            names.append(name)
            folder = {"archives": f"images_{1 + patient % 2:03d}/images", "one": "images"}[unpacked]
            picture(root / folder / name, 10 * patient + image)
            age = f"{patient:03d}Y" if old else str(patient)
            lines.append(
                f"{name},{said},{image},{patient},{age},{'FM'[patient % 2]},{('PA', 'AP')[image]},8,10,0.1,0.1"
            )
    (root / table).write_text("\n".join(lines) + "\n")
    held = [name for name in names if int(name[:8]) % 4 == 0]
    (root / "test_list.txt").write_text("\n".join(held))
    (root / "train_val_list.txt").write_text("\n".join(name for name in names if name not in held))
    return root
