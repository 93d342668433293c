"""What all pages of the console share: the request, the form, the frame around a page, lists."""
