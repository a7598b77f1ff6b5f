"""The report of a comparison as a page."""


def write_page(report, path):
    path.write_text("")
