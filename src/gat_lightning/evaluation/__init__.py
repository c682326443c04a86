"""How robust a trained model is: attacks, statistics, the audit, and what its tasks have to do with it."""
