"""Diffusion generators on one shared core: ``tabsyn``, ``tabddpm`` and ``tabdiff``, written anew from their papers.

Every piece that two of them need stands here once: the table's codec (:mod:`.codec`), tokenizer and transformer (:mod:`.layers`),
noise (:mod:`.edm`, :mod:`.gaussian`, :mod:`.masked`, :mod:`.multinomial`), training with checkpoints (:mod:`.training`) and the
presets (:mod:`.settings`). Nothing heavy is imported before ``fit``.
"""
