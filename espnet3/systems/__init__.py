"""Systems: which stages a recipe has and what each of them does."""
