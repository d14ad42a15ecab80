"""What Oblivion is compared with; each rival is a process of its own."""
