"""The benchmark of Oblivion: ``python -m bench`` measures it beside what it stands on."""
