"""BiStil: bilingual students of one multilingual model."""
