"""Charts as SVG text, to be put into a page as they are. Every mark has its figure as a tooltip."""

import html
import math

WIDTH = 920
LABEL_WIDTH = 290
VALUE_WIDTH = 150
ROW_HEIGHT = 24
BAR_HEIGHT = 14
TOP = 26
BOTTOM = 8
# Of curves.
CURVE_HEIGHT = 340
CURVE_LEFT, CURVE_RIGHT, CURVE_TOP, CURVE_BOTTOM = 64, 16, 14, 44


class Svg:
    """Collects elements; `attributes` are written with - for _ and without an _ at the end."""

    def __init__(self, width, height, title):
        self.parts = [f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{html.escape(title)}" xmlns="http://www.w3.org/2000/svg">']

    def add(self, element, text=None, tooltip=None, **attributes):
        written = "".join(f' {name.rstrip("_").replace("_", "-")}="{html.escape(format(value, ".1f") if isinstance(value, float) else str(value))}"'
                          for name, value in attributes.items() if value is not None)
        inside = (f"<title>{html.escape(tooltip)}</title>" if tooltip else "") + html.escape(text or "")
        self.parts.append(f"<{element}{written}>{inside}</{element}>" if inside else f"<{element}{written}/>")

    def text(self, x, y, text, anchor="start", class_=None):
        self.add("text", text, x=float(x), y=float(y), text_anchor=anchor, class_=class_)

    def line(self, x1, y1, x2, y2, class_):
        self.add("line", x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), class_=class_)

    def done(self):
        return "".join(self.parts) + "</svg>"


def round_ticks(largest, count=5):
    """Round values from 0 to the largest, about so many."""
    step = 10 ** math.floor(math.log10(largest / count))
    step *= next(factor for factor in (1, 2, 5, 10) if largest / (step * factor) <= count)
    return [number * step for number in range(int(largest / step) + 1)]


def short(value):
    for bound, suffix in ((1e6, " M"), (1e3, " k")):
        if value >= bound:
            return f"{value / bound:.3g}{suffix}"
    return f"{value:.3g}"


def bars(title, rows, mark=None):
    """Horizontal bars from 0. `rows` has (label, value, least, most, class, words); `mark` is a (value, label) that all are held against."""
    largest = max(max(most for _, _, _, most, _, _ in rows), mark[0] if mark else 0)
    height = TOP + ROW_HEIGHT * len(rows) + BOTTOM
    svg = Svg(WIDTH, height, title)
    scale = (WIDTH - LABEL_WIDTH - VALUE_WIDTH) / largest
    for tick in round_ticks(largest):
        svg.line(LABEL_WIDTH + tick * scale, TOP - 6, LABEL_WIDTH + tick * scale, height - BOTTOM, "grid")
        svg.text(LABEL_WIDTH + tick * scale, TOP - 12, short(tick), "middle", "tick")
    for number, (label, value, least, most, kind, words) in enumerate(rows):
        y = TOP + ROW_HEIGHT * number
        middle = y + BAR_HEIGHT / 2
        svg.text(LABEL_WIDTH - 10, middle + 4, label, "end", "label")
        svg.add("rect", tooltip=f"{label}: {words}", x=float(LABEL_WIDTH), y=float(y), width=value * scale, height=BAR_HEIGHT, rx=2, class_=kind)
        if most > least:
            svg.line(LABEL_WIDTH + least * scale, middle, LABEL_WIDTH + most * scale, middle, "spread")
            for end in (least, most):
                svg.line(LABEL_WIDTH + end * scale, middle - 4, LABEL_WIDTH + end * scale, middle + 4, "spread")
        svg.text(LABEL_WIDTH + max(value, most) * scale + 8, middle + 4, words, "start", "value")
    if mark:
        add_mark(svg, LABEL_WIDTH + mark[0] * scale, height, mark[1])
    return svg.done()


def add_mark(svg, x, height, label):
    svg.line(x, TOP - 6, x, height - BOTTOM, "mark")
    svg.text(x + 4, height - BOTTOM + 5, label, "start", "tick")


def stacked_bars(title, rows, classes):
    """Horizontal bars of parts. `rows` has (label, values by part); `classes` has the class of each part."""
    largest = max(sum(parts.values()) for _, parts in rows)
    height = TOP + ROW_HEIGHT * len(rows) + BOTTOM
    svg = Svg(WIDTH, height, title)
    scale = (WIDTH - LABEL_WIDTH - VALUE_WIDTH) / largest
    for tick in round_ticks(largest):
        svg.line(LABEL_WIDTH + tick * scale, TOP - 6, LABEL_WIDTH + tick * scale, height - BOTTOM, "grid")
        svg.text(LABEL_WIDTH + tick * scale, TOP - 12, short(tick), "middle", "tick")
    for number, (label, parts) in enumerate(rows):
        x, y = float(LABEL_WIDTH), TOP + ROW_HEIGHT * number
        svg.text(LABEL_WIDTH - 10, y + BAR_HEIGHT / 2 + 4, label, "end", "label")
        for part, kind in classes.items():
            if part in parts:
                svg.add("rect", tooltip=f"{label}, {part}: {parts[part]:.2f} s", x=x, y=float(y), width=parts[part] * scale, height=BAR_HEIGHT, class_=kind)
                x += parts[part] * scale
        svg.text(x + 8, y + BAR_HEIGHT / 2 + 4, f"{sum(parts.values()):.2f} s", "start", "value")
    return svg.done()


class CurveAxes:
    """Percentiles to the right, each nine as wide as the one before; microseconds upwards, by powers of ten."""

    SHARES = (0, 50, 90, 99, 99.9, 99.99)

    def __init__(self, least, most):
        self.low, self.high = math.floor(math.log10(least)), max(math.ceil(math.log10(most)), math.floor(math.log10(least)) + 1)

    def x(self, share):
        nines = -math.log10(1 - share / 100) / 4
        return CURVE_LEFT + min(nines, 1) * (WIDTH - CURVE_LEFT - CURVE_RIGHT - LABEL_WIDTH)

    def y(self, microseconds):
        height = CURVE_HEIGHT - CURVE_TOP - CURVE_BOTTOM
        return CURVE_TOP + height * (1 - (math.log10(microseconds) - self.low) / (self.high - self.low))

    def draw(self, svg):
        for power in range(self.low, self.high + 1):
            y = self.y(10**power)
            svg.line(CURVE_LEFT, y, self.x(99.99), y, "grid")
            svg.text(CURVE_LEFT - 8, y + 4, f"{10**power / 1000:g} ms", "end", "tick")
        for share in self.SHARES:
            svg.line(self.x(share), CURVE_TOP, self.x(share), CURVE_HEIGHT - CURVE_BOTTOM, "grid")
            svg.text(self.x(share), CURVE_HEIGHT - CURVE_BOTTOM + 18, f"p{share:g}", "middle", "tick")


def curves(title, series):
    """`series` has (label, points as (percentile, microseconds), class); labels stand at the right in the order of the series."""
    values = [max(value, 1.0) for _, points, _ in series for _, value in points]
    axes = CurveAxes(min(values), max(values))
    svg = Svg(WIDTH, CURVE_HEIGHT, title)
    axes.draw(svg)
    for number, (label, points, kind) in enumerate(series):
        places = [(axes.x(share), axes.y(max(value, 1.0)), share, value) for share, value in points]
        svg.add("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y, _, _ in places), class_=f"curve {kind}")
        for x, y, share, value in places:
            svg.add("circle", tooltip=f"{label}: p{share:g} {value / 1000:.3g} ms", cx=x, cy=y, r=3, class_=f"dot {kind}")
        legend_x, legend_y = WIDTH - LABEL_WIDTH + 10, CURVE_TOP + 12 + 20 * number
        svg.line(legend_x, legend_y - 4, legend_x + 22, legend_y - 4, f"curve {kind}")
        svg.text(legend_x + 30, legend_y, label, "start", "label")
    return svg.done()
