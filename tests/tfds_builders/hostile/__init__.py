"""Files that mean harm or were harmed, and a process that tries each of them and measures what it costs."""
