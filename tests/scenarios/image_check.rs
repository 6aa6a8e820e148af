//! A new image is looked for before a serving Pod is stopped.
