"""From the ledger to tables, statistics, figures and the report."""
