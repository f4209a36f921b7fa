class LibelliTarget: pass
