"""What each kind of picture shows, and what would be wrong in it."""

from typing import NamedTuple


class Caption(NamedTuple):
    """A kind of picture in words."""

    title: str
    sees: str
    wrong: str


CAPTIONS = {
    "image": Caption(
        "Image",
        "The image as the networks read it.",
        "Turned, cut or in false colours: look at the files, and at the log of build_manifest.",
    ),
    "cam": Caption(
        "CAM",
        "The class attention map of one class: dark where nothing speaks for it, pale yellow where most does.",
        "It lies on the background, or beside small objects: the classifier learned the surroundings; train it"
        " longer or on more images. It is bright everywhere or nowhere: it points to nothing.",
    ),
    "objectness": Caption(
        "Objectness",
        "Where there is an object, of whatever class: dark for background, pale yellow for objects.",
        "Dark on the objects of your classes, or bright everywhere: it does not know pictures of this kind. Set"
        " refine.objectness to none, or train it on masks of such pictures.",
    ),
    "refined": Caption(
        "Refined CAM",
        "The CAM after refinement; IR labels and the walk start from it.",
        "It covers an object of another class, or loses one that the CAM had: raise refine.cam_exponent, or look"
        " at the objectness.",
    ),
    "ir_label": Caption(
        "IR label",
        "What IRNet learns from: sure foreground in the colour of its class, sure background dark, unsure pixels"
        " in stripes.",
        "Colour on the background, or dark on an object: IRNet is taught wrong. Mostly stripes: it is taught"
        " little. Change ir_labels.foreground_threshold and ir_labels.background_threshold.",
    ),
    "boundary": Caption(
        "Boundary",
        "Probability of a boundary, black for 0 and white for 1, cell by cell.",
        "Black everywhere: nothing stops the walk, and labels spill. Bright inside objects: the walk stays where"
        " the CAM was.",
    ),
    "displacement": Caption(
        "Displacement",
        "Where each cell points, towards the centre of its instance: the wheel gives the direction of a colour,"
        " arrows the direction and the length.",
        "Pale, with short arrows: IRNet has learned no instances. Arrows that do not meet in one place per"
        " object: instances are split or joined.",
    ),
    "groups": Caption(
        "Groups and centroids",
        "Cells that end in the same place, a colour for each group; black lines are around the centroids, where"
        " displacement is short.",
        "One group over several objects: they become one instance. Many small groups: instances are torn.",
    ),
    "instances": Caption(
        "Instance labels",
        "The instances with class and score, each in a colour of its own with a white outline; grey outlines are"
        " pieces of score 0.",
        "Two objects in one outline, one object in several, or outlines that follow no edge.",
    ),
    "semantic": Caption(
        "Semantic label",
        "The class of each pixel in its colour, with a white outline; background has none.",
        "It spills over the object's edge: raise labels.semantic_threshold. It covers only a part: lower it. If"
        " neither helps, look at the boundary.",
    ),
    "truth": Caption(
        "Ground truth",
        "What the labels are scored against: classes in their colours, outlines around objects, void in stripes.",
        "An object that is not drawn, or has another class: it counts against the labels.",
    ),
}
