# The gem `gitlab-flowdock-git-hook`: what a receive hook of a repository does. git_hook.rb REF FROM TO, options from standard input.
require 'flowdock-git-hook'
require 'json'

options = JSON.parse($stdin.read).map { |name, value| [name.to_sym, value] }.to_h
options[:permanent_refs] = options[:permanent_refs].map { |pattern| Regexp.new(pattern) }
Flowdock::Git.post(*ARGV.map(&:dup), options) # it changes what it is given
puts true
