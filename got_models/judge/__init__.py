"""Did the picture obey its plan? Every phrase of the plan is looked for in the picture, and compared."""
