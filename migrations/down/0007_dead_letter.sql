-- loses: dead_letter

DROP TABLE dead_letter;
