"""What is to be seen of a search: a picture and a page that works by itself."""

from anas_zoo.pipeline.search_view.page import write_page
from anas_zoo.pipeline.search_view.picture import draw_picture
from anas_zoo.pipeline.search_view.view import SearchView

__all__ = ["SearchView", "draw_picture", "write_page"]
