"""What benches/advice_study is made of: the cells, their runs, and the table."""
