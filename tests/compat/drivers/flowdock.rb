# The gem `flowdock`: calls [["Flow" or "Client", {options}, "method", {arguments} or [arguments]], …] from standard input.
require 'flowdock'
require 'json'

def symbols(value)
  value.is_a?(Hash) ? value.map { |name, each| [name.to_sym, symbols(each)] }.to_h : value
end

answers = JSON.parse($stdin.read).map do |kind, options, method, arguments|
  subject = Flowdock.const_get(kind).new(**symbols(options))
  begin
    arguments.is_a?(Array) ? subject.send(method, *arguments) : subject.send(method, **symbols(arguments))
  rescue StandardError => e
    { 'error' => "#{e.class}: #{e.message}" }
  end
end
puts JSON.generate(answers)
