"""The program around a model: messages become exact tokens, calls become actions, results become text again."""
