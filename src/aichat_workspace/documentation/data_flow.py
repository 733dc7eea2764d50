"""Draw the way of the data through a cluster, as an SVG that needs no script and no font."""

from dataclasses import dataclass
from html import escape
from typing import Final

_WIDTH, _HEIGHT = 1000, 570
_STYLE: Final = """
  text { font: 14px system-ui, sans-serif; fill: #1f2430; }
  .small { font-size: 12px; fill: #4a5160; }
  .page { fill: #ffffff; }
  .area { fill: none; stroke: #8a93a5; stroke-dasharray: 6 4; }
  .tenant { fill: #e8f1fb; stroke: #3f78b5; }
  .system { fill: #eef7ee; stroke: #4b8b52; }
  .box { fill: #ffffff; stroke: #4a5160; }
  .arrow { fill: none; stroke: #4a5160; stroke-width: 1.5; }
  .tip { fill: #4a5160; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e7eaf0; }
    .small { fill: #b9c0cd; }
    .page { fill: #1b1f27; }
    .tenant { fill: #1d2c3d; stroke: #6ea4dc; }
    .system { fill: #1e2f22; stroke: #74b67b; }
    .box { fill: #262c37; stroke: #b9c0cd; }
    .arrow { stroke: #b9c0cd; }
    .tip { fill: #b9c0cd; }
  }
"""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle with a title, in pixels; an area has its title in the corner."""

    x: int
    y: int
    width: int
    height: int
    title: str
    subtitle: str = ""


@dataclass(frozen=True, slots=True)
class Arrow:
    """A line through points, with a tip at its end and a label at a point of its own."""

    points: tuple[tuple[int, int], ...]
    label: str = ""
    label_at: tuple[int, int] = (0, 0)
    both: bool = False


AREAS: Final = (
    ("area", Box(216, 20, 624, 530, "cluster")),
    ("tenant", Box(390, 50, 430, 130, "namespace of one workspace: network policies, quota")),
    ("system", Box(390, 310, 430, 120, "aichat-workspace-operator-system")),
)
BOXES: Final = (
    Box(20, 90, 140, 56, "chat user", "browser"),
    Box(20, 200, 140, 56, "identity provider", "outside"),
    Box(20, 345, 140, 56, "team lead", "browser, aichatctl"),
    Box(20, 470, 140, 56, "platform engineer", "kubectl"),
    Box(236, 90, 114, 56, "ingress", "controller"),
    Box(410, 90, 170, 56, "Open WebUI", "chats, users, documents"),
    Box(650, 90, 150, 56, "Ollama", "models"),
    Box(410, 345, 170, 56, "API, console", "store nothing"),
    Box(650, 345, 150, 56, "operator", "credentials"),
    Box(410, 470, 390, 56, "Kubernetes API server", "AIChatWorkspace, AIChatPlatform"),
    Box(876, 90, 114, 56, "model registry", "outside"),
)
ARROWS: Final = (
    Arrow(((160, 118), (236, 118)), "HTTPS", (167, 110)),
    Arrow(((350, 118), (410, 118))),
    Arrow(((580, 118), (650, 118)), "prompts", (592, 110)),
    Arrow(((800, 118), (876, 118)), "443", (846, 110)),
    Arrow(((440, 146), (440, 228), (160, 228)), "sign-in, where it is set", (226, 221)),
    Arrow(((160, 373), (410, 373)), "with their own token", (226, 365)),
    Arrow(((160, 498), (410, 498)), "with their own rights", (226, 490)),
    Arrow(((580, 365), (615, 365), (615, 280), (675, 280), (675, 146)), "prompts", (621, 273)),
    Arrow(((700, 345), (700, 225), (520, 225), (520, 146)), "which models call tools", (528, 218)),
    Arrow(((750, 345), (750, 146)), "models,", (757, 255)),
    Arrow(((495, 401), (495, 470)), "who is it, and may they", (503, 455)),
    Arrow(((725, 401), (725, 470)), "watches, writes", (733, 455), both=True),
)
_MORE_LABELS: Final = (("patterns", (757, 271)),)


def picture() -> str:
    """Return the picture as SVG."""
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"'
            ' aria-labelledby="title">'
        ),
        (
            '<title id="title">The way of the data: people reach Open WebUI through the ingress '
            "controller, and the API with their own tokens; prompts stay between Open WebUI and "
            "Ollama in the namespace of the workspace.</title>"
        ),
        f"<style>{_STYLE}</style>",
        (
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
            'markerHeight="8" orient="auto-start-reverse"><path class="tip" d="M0 0 8 4 0 8z"/>'
            "</marker></defs>"
        ),
        f'<rect class="page" width="{_WIDTH}" height="{_HEIGHT}" rx="8"/>',
        *(_area(style, box) for style, box in AREAS),
        *(_arrow(arrow) for arrow in ARROWS),
        *(_text(text, *place, "small") for text, place in _MORE_LABELS),
        *(_box(box) for box in BOXES),
        "</svg>",
        "",
    ]
    return "\n".join(lines)


def _area(style: str, box: Box) -> str:
    return f"{_rectangle(style, box)}{_text(box.title, box.x + 10, box.y + 20, 'small')}"


def _box(box: Box) -> str:
    middle = box.x + box.width // 2
    title = _text(box.title, middle, box.y + 24, anchor="middle")
    subtitle = _text(box.subtitle, middle, box.y + 43, "small", "middle")
    return f"{_rectangle('box', box)}{title}{subtitle}"


def _arrow(arrow: Arrow) -> str:
    points = " ".join(f"{x},{y}" for x, y in arrow.points)
    start = ' marker-start="url(#tip)"' if arrow.both else ""
    line = f'<polyline class="arrow" points="{points}" marker-end="url(#tip)"{start}/>'
    return line + (_text(arrow.label, *arrow.label_at, "small") if arrow.label else "")


def _rectangle(style: str, box: Box) -> str:
    return (
        f'<rect class="{style}" x="{box.x}" y="{box.y}" width="{box.width}" '
        f'height="{box.height}" rx="6"/>'
    )


def _text(text: str, x: int, y: int, style: str = "", anchor: str = "start") -> str:
    kind = f' class="{style}"' if style else ""
    return f'<text{kind} x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'
