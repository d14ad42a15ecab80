"""Where Oblivion meets other libraries; each module needs the extra of its name."""
