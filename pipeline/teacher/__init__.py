"""One unit of work: its articles → the teacher's labels in the union vocabulary. Knows no Beam."""
