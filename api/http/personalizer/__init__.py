"""Personalizer's wire: its calls, for clients that speak them, answered by the functions of our own routes."""
