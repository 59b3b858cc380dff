"""A reader without a limit of pages, that only counts them: what a limit is worth is seen where it is missing."""

from fakes.reader import Reader
from processors import pages
from processors.contract import Finished
from processors.pages import picture


class CarelessReader(Reader):
    name = "fakes.careless_reader"

    def load(self, options, models, progress):
        picture.refuse_too_many = lambda pages: None
        return super().load(options, models, progress)

    def process_one(self, work, progress):
        return Finished(files=(), pages=pages.count_pages(work.source, work.media_type))


processor = CarelessReader
