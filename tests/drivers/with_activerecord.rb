# Active Record, the migrations of Rails: forward and back.
require "pg"
require "active_record"

$stdout.sync = true
puts "version\t#{ActiveRecord.version}"
if ENV["PGSSLNEGOTIATION"] == "direct" && PG.library_version < 170_000
  puts "run\timpossible\tlibpq before 17 always sends SSLRequest"
  exit
end

class CreateTurtles < ActiveRecord::Migration[6.1]
  def change
    create_table(:turtles) { |table| table.string :name, null: false }
    add_index :turtles, :name, unique: true
  end
end

class Turtle < ActiveRecord::Base; end

begin
  # libpq's variables have the rest.
  ActiveRecord::Base.establish_connection(adapter: "postgresql")
  ActiveRecord::Migration.verbose = false
  schema = "rails_#{Process.pid}"
  connection = ActiveRecord::Base.connection
  connection.create_schema(schema)
  connection.schema_search_path = schema
  CreateTurtles.migrate(:up)
  Turtle.create!(name: "żółw")
  raise "#{Turtle.count} rows" if Turtle.pluck(:name) != ["żółw"]
  CreateTurtles.migrate(:down)
  connection.drop_schema(schema)
  puts "run\tok"
rescue StandardError => error
  puts "run\tfail\t#{error.message.split.join(" ")}"
end
