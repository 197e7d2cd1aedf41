"""The stages that build the IIT-R SIER dataset; `dvc.yaml` is the table of contents."""
