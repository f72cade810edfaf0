"""Notebooks through papermill: what is to be run, one notebook in its process, what one sees."""

from __future__ import annotations

from samplevae_lib.runner.execute import Job, Outcome
from samplevae_lib.runner.plan import RunError, plan_jobs, run_jobs
from samplevae_lib.runner.terminal import summary

__all__ = ["Job", "Outcome", "RunError", "plan_jobs", "run_jobs", "summary"]
