"""Where random traces live: a world that forgets them, a model beside it, laws over both."""
