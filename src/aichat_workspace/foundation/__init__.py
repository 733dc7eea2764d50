"""Small pieces for every package. They import none of them."""
