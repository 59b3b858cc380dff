"""The reasons why a job is parked: values of `Job.waiting_for` by which the daemon recognizes such jobs."""

INTERNAL_ERROR = "Internal error in inboxd: its log has the details. Please report it."
CANCELLING = "Cancelled: its file is being moved to outbox/failed."
LOST = (
    "The file is lost: inbox/.taken was renamed or removed while inboxd was stopped. "
    "Rename it back, or run `inboxd cancel` and drop the file again."
)
