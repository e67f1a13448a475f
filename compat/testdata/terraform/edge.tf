# What the tests apply besides the provider block of docs/guide/clients.md.

variable "value" {
  type = string
}

variable "exclusive" {
  type = set(string)
}

resource "aws_cloudfront_key_value_store" "redirects" {
  name    = "redirects"
  comment = "made by Terraform"
}

resource "aws_cloudfrontkeyvaluestore_key" "redirects" {
  for_each = {
    "/old"    = "/new"
    "a b/+%é" = var.value
    ".."      = "two dots"
  }
  key_value_store_arn = aws_cloudfront_key_value_store.redirects.arn
  key                 = each.key
  value               = each.value
}

resource "aws_cloudfront_key_value_store" "exclusive" {
  name = "exclusive"
}

resource "aws_cloudfrontkeyvaluestore_keys_exclusive" "exclusive" {
  key_value_store_arn = aws_cloudfront_key_value_store.exclusive.arn
  dynamic "resource_key_value_pair" {
    for_each = var.exclusive
    content {
      key   = resource_key_value_pair.value
      value = "the value of ${resource_key_value_pair.value}"
    }
  }
}

resource "aws_cloudfront_function" "router" {
  name                         = "router"
  runtime                      = "cloudfront-js-2.0"
  comment                      = "made by Terraform"
  publish                      = true
  key_value_store_associations = [aws_cloudfront_key_value_store.redirects.arn]
  code                         = "function handler(event) { return event.request; } // ${var.value}"
}
