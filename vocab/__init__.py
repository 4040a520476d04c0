"""Token identity: pieces, the union vocabulary, teacher→union maps, the student's tokenizer."""
