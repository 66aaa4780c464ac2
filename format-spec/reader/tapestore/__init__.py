"""An independent reader of Tapestore stores, written from the chapters of the specification alone."""
