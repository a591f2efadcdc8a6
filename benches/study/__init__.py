"""The parts of benches/advice_study: the cells, their runs, the rule and the table."""
